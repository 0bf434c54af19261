-- The defaults of a table's or view's columns, and the sequences that a column owns. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/defaults.sql
WITH attribute AS (
    SELECT a.attrelid, a.attnum, a.attname, a.attgenerated, format('%I.%I', n.nspname, c.relname) AS full_name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS word
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT a.attrelid AS oid,
       0 AS turn,
       NULL::text AS role,
       a.attname AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('ALTER %s %s ALTER COLUMN %I SET DEFAULT %s', a.word, a.full_name, a.attname,
              pg_catalog.pg_get_expr(d.adbin, d.adrelid)) AS statement
  FROM attribute a
  JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attgenerated = ''
UNION ALL
SELECT a.attrelid AS oid,
       0 AS turn,
       NULL::text AS role,
       a.attname AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, q.relname, a.full_name, a.attname) AS statement
  FROM attribute a
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid
   AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a'
  JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
  JOIN pg_catalog.pg_namespace n ON n.oid = q.relnamespace;
