-- The roles that may read tables and views, as the statements that let them read the staging tables and views of the
-- same name. In staging as in the live schema, a view's query reads with the privileges of the view's owner. No
-- other role can read them: no role has USAGE on a staging schema. Target side.
-- :'oids': the live tables and views; :'staging': for each, its staging schema.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -v staging='{etl_staging_public}' -f access.sql
WITH object AS (
    SELECT c.oid, c.relowner, c.relname, w.staging,
           coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)) AS acl
      FROM unnest(:'oids'::pg_catalog.oid[], :'staging'::text[]) AS w (oid, staging)
      JOIN pg_catalog.pg_class c ON c.oid = w.oid
), allowed AS (
    SELECT o.staging, o.relname, NULL::name AS column_name, x.grantee
      FROM object o CROSS JOIN pg_catalog.aclexplode(o.acl) x
     WHERE x.privilege_type = 'SELECT'
    UNION
    SELECT o.staging, o.relname, a.attname, x.grantee
      FROM object o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
     CROSS JOIN pg_catalog.aclexplode(a.attacl) x
     WHERE x.privilege_type = 'SELECT'
       -- not for a column that the new table lacks: a view that reads it cannot be created, and the error names it
       AND EXISTS (SELECT FROM pg_catalog.pg_attribute s
                    WHERE s.attrelid = pg_catalog.to_regclass(format('%I.%I', o.staging, o.relname))
                      AND s.attname = a.attname AND NOT s.attisdropped)
)
SELECT format('GRANT SELECT%s ON %I.%I TO %s', ' (' || quote_ident(a.column_name) || ')', a.staging, a.relname,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)
         AS statement
  FROM allowed a
 WHERE a.grantee = 0 OR pg_catalog.pg_get_userbyid(a.grantee) <> current_user
 ORDER BY 1;
