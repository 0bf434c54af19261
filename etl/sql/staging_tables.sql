-- The tables in staging schemas, whichever role created them. Target side.
-- Try it: psql -f staging_tables.sql
SELECT n.nspname::text AS schema, c.relname::text AS name, c.oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname LIKE 'etl\_staging%' AND c.relkind IN ('r', 'p')
 ORDER BY 1, 2;
