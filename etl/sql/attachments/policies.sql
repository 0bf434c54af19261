-- The policies of a table's row-level security. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/policies.sql
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       'pg_catalog.pg_policy'::regclass AS classid,
       p.oid AS objid,
       format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s', p.polname, n.nspname, c.relname,
              CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(CASE WHEN r.r = 0 THEN 'PUBLIC'
                                      ELSE quote_ident(pg_catalog.pg_get_userbyid(r.r)) END, ', ')
                 FROM unnest(p.polroles) AS r (r)),
              ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
              ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS statement
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
