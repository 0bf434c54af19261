-- Why this session's role cannot write values of types, one row each. Target side.
-- :'schemas', :'names': the types.
-- Try it: psql -v schemas='{public}' -v names='{mood}' -f type_privileges.sql
WITH type AS (
    SELECT n.nspname, t.typname, t.oid, n.oid AS namespace, r.rolname,
           r.rolsuper OR r.rolname = current_user AS is_trusted,
           pg_catalog.format_type(t.oid, NULL) AS name
      FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name
      JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
)
-- as untrusted_types.sql says of a staging table
SELECT t.nspname::text AS schema, t.typname::text AS name,
       format('type %s in the target belongs to %s, whose constraints and casts would run as %s; hand it over: ALTER TYPE %s'
              ' OWNER TO %I', t.name, t.rolname, current_user, t.name, current_user) AS problem
  FROM type t
 WHERE NOT t.is_trusted
UNION ALL
SELECT t.nspname, t.typname, format('type %s is in schema %s of the target, which %s may not use; GRANT USAGE ON SCHEMA %I TO %I',
                                    t.name, quote_ident(t.nspname), current_user, t.nspname, current_user)
  FROM type t
 WHERE NOT pg_catalog.has_schema_privilege(t.namespace, 'USAGE')
UNION ALL
SELECT t.nspname, t.typname, format('%s may not use type %s of the target; GRANT USAGE ON TYPE %s TO %I', current_user, t.name,
                                    t.name, current_user)
  FROM type t
 WHERE NOT pg_catalog.has_type_privilege(t.oid, 'USAGE')
 ORDER BY 1, 2, 3;
