-- What ALTER DEFAULT PRIVILEGES IN SCHEMA grants on tables that this session's role creates in a schema, as statements.
-- CREATE TABLE has granted the global default privileges already, but not those of the live schema, because it created
-- the staging table in another schema. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f default_privileges.sql
SELECT format('GRANT %s ON %I.%I TO %s%s', x.privilege_type, t.schema, t.name,
              CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END,
              CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END) AS statement
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS t (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schema
  JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = n.oid AND d.defaclobjtype = 'r'
 CROSS JOIN pg_catalog.aclexplode(d.defaclacl) x
 WHERE d.defaclrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
