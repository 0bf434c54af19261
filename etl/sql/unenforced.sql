-- Why the server could not enforce the foreign keys from and to live tables while rows are merged: one row each, with
-- the remedy. Target side.
-- :'oids': the live tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f unenforced.sql
--
-- A row that refers is checked as the owner of the table to which it refers; a row that goes is checked, and the rows
-- that refer to it are changed, as the owner of the table that refers (ri_PerformCheck in PostgreSQL's source).
WITH RECURSIVE relation (root, oid) AS (
    SELECT w.oid, w.oid FROM unnest(:'oids'::pg_catalog.oid[]) AS w (oid)
    UNION ALL
    SELECT r.root, i.inhrelid
      FROM relation r
      JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
), key AS (
    SELECT r.root, r.oid AS relation, k.*,
           pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0) AS name
      FROM relation r
      JOIN pg_catalog.pg_constraint k ON r.oid IN (k.conrelid, k.confrelid) AND k.contype = 'f' AND k.conparentid = 0
       AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::pg_catalog.bool, true) -- since PostgreSQL 18
), needed AS (
    SELECT k.root, k.name, k.confrelid AS relation, p.privilege
      FROM key k CROSS JOIN (VALUES ('SELECT'), ('UPDATE')) AS p (privilege) -- FOR KEY SHARE needs both
     WHERE k.relation = k.conrelid
    UNION
    SELECT k.root, k.name, k.conrelid, p.privilege
      FROM key k CROSS JOIN (VALUES ('SELECT'), ('UPDATE'), ('DELETE')) AS p (privilege)
     WHERE k.relation = k.confrelid AND (p.privilege <> 'DELETE' OR k.confdeltype = 'c')
), lacking AS (
    SELECT e.*, c.oid::pg_catalog.regclass AS relation_name, n.nspname, r.rolname
      FROM needed e
      JOIN pg_catalog.pg_class c ON c.oid = e.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
)
SELECT k.root AS oid,
       pg_catalog.format('%s is not enforced, because session_replication_role is replica', k.name) AS what,
       pg_catalog.format('ALTER ROLE %I SET session_replication_role = origin, as a superuser', session_user) AS remedy
  FROM key k
 WHERE pg_catalog.current_setting('session_replication_role') = 'replica'
UNION
SELECT l.root,
       pg_catalog.format('%s is enforced as role %I, which may not use schema %I', l.name, l.rolname, l.nspname),
       pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', l.nspname, l.rolname)
  FROM lacking l
 WHERE NOT pg_catalog.has_schema_privilege(l.rolname, l.nspname, 'USAGE')
UNION
SELECT l.root,
       pg_catalog.format('%s is enforced as role %I, which may not %s %s', l.name, l.rolname, l.privilege,
                         l.relation_name),
       pg_catalog.format('GRANT %s ON %s TO %I', l.privilege, l.relation_name, l.rolname)
  FROM lacking l
 WHERE NOT pg_catalog.has_table_privilege(l.rolname, l.relation, l.privilege)
 ORDER BY 1, 2, 3;
