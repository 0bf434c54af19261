-- The statements that keep tables of the ledger from roles that may not use its schema yet, before all roles may. Default
-- privileges (ALTER DEFAULT PRIVILEGES) often grant SELECT on whatever a role creates, which means nothing without USAGE on
-- the schema. Roles that have USAGE keep what they may, also what they may as PUBLIC. Target side.
-- :'tables': the tables of the ledger, without the schema.
-- Try it: psql -v tables='{runs,loads}' -f ledger_readers.sql
WITH held AS (
    SELECT c.relname, a.grantee, a.privilege_type
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
     WHERE n.nspname = 'etl' AND c.relkind = 'r' AND c.relname = ANY (:'tables'::text[]) AND a.grantee <> c.relowner
), users AS (
    SELECT a.grantee
      FROM pg_catalog.pg_namespace n
     CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
     WHERE n.nspname = 'etl' AND a.privilege_type = 'USAGE' AND a.grantee NOT IN (0, n.nspowner)
)
SELECT DISTINCT pg_catalog.format('REVOKE ALL ON etl.%I FROM %s', h.relname,
                                  CASE WHEN h.grantee = 0 THEN 'PUBLIC'
                                       ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(h.grantee)) END) AS statement
  FROM held h
 WHERE h.grantee = 0
    OR NOT EXISTS (SELECT FROM users u WHERE pg_catalog.pg_has_role(h.grantee, u.grantee, 'USAGE'))
UNION ALL
SELECT pg_catalog.format('GRANT %s ON etl.%I TO %I', h.privilege_type, h.relname, pg_catalog.pg_get_userbyid(u.grantee))
  FROM held h
 CROSS JOIN users u
 WHERE h.grantee = 0;
