-- Which columns of tables and views are NOT NULL, and the name of that constraint. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/nullability.sql
WITH RECURSIVE tree AS (
    -- a table's partitions and inheritance children, itself included: their rows arrive with the table's own
    SELECT o.oid AS root, o.oid AS leaf FROM unnest(:'oids'::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.leaf
), nullable AS (
    -- a child may allow NULL where its parent does not; NOT NULL ... NOT VALID, since PostgreSQL 18, promises nothing
    SELECT DISTINCT t.root, a.attname
      FROM tree t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.leaf AND a.attnum > 0 AND NOT a.attisdropped
     WHERE NOT a.attnotnull
        OR (a.attrelid, ARRAY[a.attnum]) IN (SELECT k.conrelid, k.conkey FROM pg_catalog.pg_constraint k
                                              WHERE k.contype = 'n' AND NOT k.convalidated)
)
SELECT a.attrelid AS oid,
       a.attnum AS position,
       n.root IS NULL AS not_null,
       -- since PostgreSQL 18 the constraint has a name, which must not be that of another constraint
       coalesce(
           (SELECT k.conname::text FROM pg_catalog.pg_constraint k
             WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]),
           (SELECT 'not_null_' || a.attnum FROM pg_catalog.pg_constraint k
             WHERE a.attnotnull AND k.conrelid = a.attrelid AND k.conname LIKE '%\_not\_null' LIMIT 1)) AS not_null_name
  FROM pg_catalog.pg_attribute a
  LEFT JOIN nullable n ON n.root = a.attrelid AND n.attname = a.attname
 WHERE a.attrelid = ANY (:'oids'::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped;
