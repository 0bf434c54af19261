-- Row-level security of a table: enabled, and forced on the owner. The policies are in policies.sql. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/row_security.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('ALTER TABLE %I.%I %s ROW LEVEL SECURITY', n.nspname, c.relname, setting.word) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (VALUES (c.relrowsecurity, 'ENABLE'), (c.relforcerowsecurity, 'FORCE')) AS setting (is_on, word)
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]) AND setting.is_on;
