-- The columns of a live table, in order. Target side.
-- :'schema', :'name': the live table.
-- Try it: psql -v schema=public -v name=orders -f columns.sql
SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :'schema' AND c.relname = :'name' AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum;
