-- How much data tables hold, with their partitions and inheritance children: bytes (heap and TOAST) and, as the planner
-- estimates them, rows. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/volume.sql
WITH RECURSIVE tree AS (
    SELECT o.oid AS root, o.oid AS leaf FROM unnest(:'oids'::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.leaf
)
SELECT t.root AS oid,
       coalesce(sum(pg_catalog.pg_table_size(t.leaf)), 0)::bigint AS bytes,
       coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows
  FROM tree t
  JOIN pg_catalog.pg_class c ON c.oid = t.leaf
 GROUP BY t.root;
