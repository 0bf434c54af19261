-- The owner of a table or view, where that is not this session's role, which created the new one. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/owner.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('ALTER %s %I.%I OWNER TO %I',
              CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
              n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
   AND pg_catalog.pg_get_userbyid(c.relowner) <> current_user;
