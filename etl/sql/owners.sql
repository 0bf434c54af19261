-- The owners of the live tables that do not belong to this session's role. Target side.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f owners.sql
SELECT w.schema, w.name, pg_catalog.pg_get_userbyid(c.relowner)::text AS owner
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'r'
 WHERE pg_catalog.pg_get_userbyid(c.relowner) <> current_user;
