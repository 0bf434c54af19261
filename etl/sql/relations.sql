-- The relations that can be copied, by name. A partition belongs to its table, and a member to its extension, which
-- fills it in every database; so these are copied only if they are named.
-- Source side.
-- Try it: psql -f relations.sql
SELECT n.nspname::text    AS schema,
       c.relname::text    AS name,
       c.relkind::text    AS kind,
       c.relispartition   AS is_partition,
       EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') AS is_member,
       c.oid              AS oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('information_schema', 'etl')
   AND n.nspname !~ '^(pg_|etl_staging)'
 ORDER BY n.nspname, c.relname;
