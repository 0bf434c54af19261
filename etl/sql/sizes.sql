-- The amount of work for each table: bytes (heap and TOAST, with partitions and inheritance children), and the
-- number of its indexes. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f sizes.sql
WITH RECURSIVE tree AS (
    SELECT o.oid AS root, o.oid AS leaf FROM unnest(:'oids'::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.leaf
)
SELECT t.root AS oid,
       coalesce(sum(pg_catalog.pg_table_size(t.leaf)), 0)::bigint AS bytes,
       (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = t.root AND i.indisvalid) AS indexes
  FROM tree t
 GROUP BY t.root;
