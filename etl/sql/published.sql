-- The live tables that runs have published and that are still there, with when that was the last time. Target side.
-- Which of them are still wanted is for the caller to say. Try it: psql -f published.sql
SELECT l.schema_name AS schema, l.relation_name AS name, max(l.published_at) AS published_at
  FROM etl.loads l
  JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema_name
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.relation_name AND c.relkind IN ('r', 'p')
 WHERE l.status = 'published'
 GROUP BY l.schema_name, l.relation_name
 ORDER BY l.schema_name, l.relation_name;
