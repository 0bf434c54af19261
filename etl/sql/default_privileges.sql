-- What ALTER DEFAULT PRIVILEGES IN SCHEMA grants on a table that the session's user makes there.
-- Global default privileges came with CREATE TABLE already; only a schema's own are asked for here,
-- because the staging table was made in another schema. Target side.
-- Try it: psql -v schema=public -f default_privileges.sql
SELECT NULL::text AS column,
       x.privilege_type AS privilege,
       x.is_grantable AS grantable,
       CASE WHEN x.grantee <> 0 THEN pg_catalog.pg_get_userbyid(x.grantee)::text END AS grantee
  FROM pg_catalog.pg_default_acl d
  JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN pg_catalog.aclexplode(d.defaclacl) x
 WHERE n.nspname = :'schema'
   AND d.defaclobjtype = 'r'
   AND d.defaclrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
