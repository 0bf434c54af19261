-- The relations that hold the rows of tables: the table itself, its partitions and its inheritance children, as far as
-- they are stored on disk or are foreign tables. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f parts.sql
--
-- pages: of the heap, which page ranges divide; 0 where rows have no ctid by which a range could be read.
-- bytes: heap and TOAST.
-- may_cut: false where reading a part by its own name is not the same as reading it through its parent: the role may
-- not read the part, or the part has row security of its own.
WITH RECURSIVE tree AS (
    SELECT o AS root, o AS part FROM unnest(:'oids'::pg_catalog.oid[]) o
    UNION  -- a child of two parents of one family counts once
    SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.part
)
SELECT t.root::bigint AS root,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       c.oid::bigint AS oid,
       CASE WHEN am.amname = 'heap' THEN pg_catalog.pg_relation_size(c.oid)
                 / pg_catalog.current_setting('block_size')::bigint ELSE 0 END AS pages,
       CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS bytes,
       t.root = t.part
         OR pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
            AND NOT pg_catalog.row_security_active(c.oid) AS may_cut
  FROM tree t
  JOIN pg_catalog.pg_class c ON c.oid = t.part
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
 WHERE c.relkind IN ('r', 'f')
 ORDER BY t.root, bytes DESC, schema, name;
