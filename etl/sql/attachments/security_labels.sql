-- The security labels of a table or view and of its columns; each needs its label provider, a library of the server.
-- Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/security_labels.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       a.attname AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('SECURITY LABEL FOR %I ON %s%s IS %L', l.provider,
              CASE WHEN a.attname IS NOT NULL THEN 'COLUMN ' WHEN c.relkind = 'v' THEN 'VIEW '
                   WHEN c.relkind = 'm' THEN 'MATERIALIZED VIEW ' ELSE 'TABLE ' END,
              format('%I.%I', n.nspname, c.relname) || coalesce('.' || quote_ident(a.attname), ''), l.label) AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_seclabel l ON l.classoid = 'pg_catalog.pg_class'::regclass AND l.objoid = c.oid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = l.objsubid AND l.objsubid > 0
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
