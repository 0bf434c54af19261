-- The owners of the live tables that do not belong to this session's role. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f owners.sql
SELECT w.schema, w.name, r.rolname::text AS owner, r.rolsuper AS is_superuser
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE r.rolname <> current_user;
