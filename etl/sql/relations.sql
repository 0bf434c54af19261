-- The relations that can be copied, by name. A partition belongs to its table, so it is copied only if it is named.
-- Source side.
-- Try it: psql -f relations.sql
SELECT n.nspname::text    AS schema,
       c.relname::text    AS name,
       c.relkind::text    AS kind,
       c.relispartition   AS is_partition,
       c.oid              AS oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('information_schema', 'etl')
   AND n.nspname !~ '^(pg_|etl_staging)'
 ORDER BY n.nspname, c.relname;
