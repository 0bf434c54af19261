-- Whom default privileges, a schema's or the global ones, grant anything on what the session's user makes. Target side.
-- A view that is put back must not be opened to them, unless it was open to them before.
SELECT DISTINCT CASE WHEN x.grantee <> 0 THEN pg_catalog.pg_get_userbyid(x.grantee)::text END AS grantee
  FROM pg_catalog.pg_default_acl d
 CROSS JOIN pg_catalog.aclexplode(d.defaclacl) x
 WHERE d.defaclobjtype = 'r'
   AND x.grantee <> d.defaclrole
   AND d.defaclrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);
