-- The indexes of tables, apart from those of keys and exclusion constraints, which constraints.sql has. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/indexes.sql
--
-- definition: from USING on; the words before it name the source's table.
-- A unique index holds for a table's own rows only. The rows of inheritance children arrive with them and may break it;
-- so all indexes of a table with children are listed here, and none of them is unique.
WITH relation AS (
    SELECT c.oid, n.nspname, c.relname,
           c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) AS has_children
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT r.oid,
       row_number() OVER (PARTITION BY r.oid ORDER BY i.indisunique DESC, ic.relname) AS position,
       ic.relname AS name,
       i.indisunique AND NOT r.has_children AS "unique",
       substr(pg_catalog.pg_get_indexdef(i.indexrelid),
              length(format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, ic.relname,
                            CASE WHEN ic.relkind = 'I' THEN 'ONLY ' END, r.nspname, r.relname)) + 1) AS definition,
       ARRAY(SELECT DISTINCT a.attname::text
               FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.oid) AS columns,
       pg_catalog.obj_description(i.indexrelid, 'pg_class') AS comment
  FROM relation r
  JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indisvalid
  JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
 WHERE r.has_children
    OR NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                    WHERE k.conrelid = r.oid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'));
