-- The rules of a table or view (turn 0), and whether they are disabled, or fire on a replica (turn 1). The rule _RETURN
-- is a view's query, and comes with the view. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/rules.sql
WITH attached AS (
    SELECT c.oid AS table_oid, format('%I.%I', n.nspname, c.relname) AS full_name, r.oid, r.rulename, r.ev_enabled
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT r.table_oid AS oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_rewrite'::regclass AS classid,
       r.oid AS objid,
       rtrim(pg_catalog.pg_get_ruledef(r.oid), ';') AS statement
  FROM attached r
UNION ALL
SELECT r.table_oid AS oid,
       1 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_rewrite'::regclass AS classid,
       r.oid AS objid,
       format('ALTER TABLE %s %s RULE %I', r.full_name,
              CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
              r.rulename) AS statement
  FROM attached r
 WHERE r.ev_enabled <> 'O';
