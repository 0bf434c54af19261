-- A live table by its name, if a run or a batch has brought it: what the view etl.freshness says of it, and its oid.
-- Target side; needs the ledger.
-- :'schema', :'name': the table.
-- Try it: psql -v schema=public -v name=orders -f retiring.sql
SELECT c.oid::int8 AS oid, f.as_of, f.rows
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN etl.freshness f ON f.table_schema = n.nspname AND f.table_name = c.relname
 WHERE n.nspname = :'schema' AND c.relname = :'name' AND f.published_at IS NOT NULL;
