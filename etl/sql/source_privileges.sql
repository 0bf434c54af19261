-- Whether this session's role may read tables. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f source_privileges.sql
SELECT c.oid,
       pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') AS may_use_schema,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_select,
       pg_catalog.row_security_active(c.oid) AS row_security
  FROM pg_catalog.pg_class c
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
