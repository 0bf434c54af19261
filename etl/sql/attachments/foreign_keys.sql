-- The foreign keys of a table to other tables. They are added NOT VALID, which reads no row. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/foreign_keys.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_constraint'::regclass AS classid,
       k.oid AS objid,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I ', n.nspname, c.relname, k.conname)
         || pg_catalog.pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN ' NOT VALID' ELSE '' END
         AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
