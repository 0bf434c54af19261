-- The index by which CLUSTER sorts a table or materialized view. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/clustering.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_class'::regclass AS classid,
       ic.oid AS objid,
       format('ALTER %s %I.%I CLUSTER ON %I',
              CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
              n.nspname, c.relname, ic.relname) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisclustered
  JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
