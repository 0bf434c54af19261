-- The live tables that runs have published and that still exist, each with the time of its last publish. The caller
-- compares them with the tables that it wants. Target side; needs the ledger.
-- Try it: psql -f published.sql
SELECT l.schema_name AS schema, l.relation_name AS name, max(l.published_at) AS published_at
  FROM etl.loads l
  JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema_name
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.relation_name AND c.relkind IN ('r', 'p')
 WHERE l.status = 'published'
 GROUP BY l.schema_name, l.relation_name
 ORDER BY l.schema_name, l.relation_name;
