-- The live tables that runs have published and that still exist, each with the time of its last publish; those are left
-- out that `etl retire` has marked since. The caller compares them with the tables that it wants. Target side; needs the
-- ledger.
-- :'job': a job: the tables that another job has published last are none of its business; empty if there is none.
-- Try it: psql -v job= -f published.sql
SELECT l.schema, l.name, l.published_at
  FROM (SELECT DISTINCT ON (p.schema_name, p.relation_name)
               p.schema_name AS schema, p.relation_name AS name, p.published_at, p.retired_at, p.run_id
          FROM etl.loads p
         WHERE p.status = 'published'
         ORDER BY p.schema_name, p.relation_name, p.published_at DESC) AS l
  JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.name AND c.relkind IN ('r', 'p')
  LEFT JOIN etl.runs r ON r.run_id = l.run_id
 WHERE l.retired_at IS NULL AND (:'job' = '' OR r.job IS NULL OR r.job = :'job')
 ORDER BY l.schema, l.name;
