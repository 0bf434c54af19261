-- The triggers of a table or view (turn 0), and whether they are disabled, or fire on a replica (turn 1). Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/triggers.sql
WITH attached AS (
    SELECT c.oid AS table_oid, format('%I.%I', n.nspname, c.relname) AS full_name, t.*
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT t.table_oid AS oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_trigger'::regclass AS classid,
       t.oid AS objid,
       pg_catalog.pg_get_triggerdef(t.oid) AS statement
  FROM attached t
UNION ALL
SELECT t.table_oid AS oid,
       1 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_trigger'::regclass AS classid,
       t.oid AS objid,
       format('ALTER TABLE %s %s TRIGGER %I', t.full_name,
              CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
              t.tgname) AS statement
  FROM attached t
 WHERE t.tgenabled <> 'O';
