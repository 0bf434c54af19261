-- The privileges on a table or view, and on its columns, each granted by the role that granted it. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/privileges.sql
--
-- An ACL that is not NULL lists the owner's own privileges, too, as far as they were not revoked. So they are revoked
-- first (turn 0), and granted again. A role can grant a privilege on only after it has received the grant option: the
-- turn of a grant is one more than the number of grants between its grantor and the owner.
WITH RECURSIVE object AS (
    SELECT c.oid, c.relowner, c.relacl, format('%I.%I', n.nspname, c.relname) AS full_name
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
), privilege AS (
    SELECT o.oid, o.full_name, o.relowner, NULL::name AS attname, x.*
      FROM object o CROSS JOIN pg_catalog.aclexplode(o.relacl) x
    UNION ALL
    SELECT o.oid, o.full_name, o.relowner, a.attname, x.*
      FROM object o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
     CROSS JOIN pg_catalog.aclexplode(a.attacl) x
), grantor (oid, role, privilege_type, distance) AS (
    -- the owner, and each role with a grant option: how many grants it is away from the owner
    SELECT o.oid, o.relowner, NULL::text, 0 FROM object o
    UNION
    SELECT p.oid, p.grantee, p.privilege_type, g.distance + 1
      FROM grantor g
      JOIN privilege p ON p.oid = g.oid AND p.grantor = g.role AND p.is_grantable
       AND p.privilege_type = coalesce(g.privilege_type, p.privilege_type)
     WHERE g.distance < 100
)
SELECT o.oid,
       0 AS turn,
       NULL::text AS role,
       NULL::name AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('REVOKE ALL ON %s FROM %I', o.full_name, pg_catalog.pg_get_userbyid(o.relowner)) AS statement
  FROM object o
 WHERE o.relacl IS NOT NULL
UNION ALL
SELECT p.oid,
       1 + (SELECT coalesce(min(g.distance), 0) FROM grantor g
             WHERE g.oid = p.oid AND g.role = p.grantor
               AND coalesce(g.privilege_type, p.privilege_type) = p.privilege_type) AS turn,
       CASE WHEN p.grantor <> p.relowner THEN pg_catalog.pg_get_userbyid(p.grantor)::text END AS role,
       p.attname AS column_name,
       NULL::regclass AS classid,
       NULL::oid AS objid,
       format('GRANT %s%s ON %s TO %s%s', p.privilege_type, ' (' || quote_ident(p.attname) || ')', p.full_name,
              CASE WHEN p.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(p.grantee)) END,
              CASE WHEN p.is_grantable THEN ' WITH GRANT OPTION' END) AS statement
  FROM privilege p;
