-- The replica identity of a table, unless it is the default, the primary key. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/replica_identity.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_class'::regclass AS classid,
       ic.oid AS objid,
       format('ALTER TABLE %I.%I REPLICA IDENTITY %s', n.nspname, c.relname,
              CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                   ELSE 'USING INDEX ' || quote_ident(ic.relname) END) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisreplident
  LEFT JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
   AND c.relkind = 'r' AND (c.relreplident IN ('f', 'n') OR (c.relreplident = 'i' AND ic.oid IS NOT NULL));
