-- Those of the functions and operators that exist in this database and are untrusted: they belong neither to this
-- session's role nor to a superuser. Target side.
-- :'functions', :'operators': their names with their arguments' types.
-- Try it: psql -v functions='{"public.f(integer)"}' -v operators='{}' -f code_owners.sql
--
-- The names are compared as text, because before PostgreSQL 16 to_regprocedure() raises an error if a type in the name
-- does not exist. PostgreSQL's own functions and operators have oids below 16384.
SELECT w.name, p.oid::pg_catalog.regprocedure::text AS function, r.rolname::text AS owner, current_user::text AS role
  FROM (SELECT f.name, c.oid
          FROM unnest(:'functions'::text[]) AS f (name)
          JOIN pg_catalog.pg_proc c ON c.oid >= 16384 AND c.oid::pg_catalog.regprocedure::text = f.name
         UNION ALL
        SELECT n.name, o.oprcode::pg_catalog.oid
          FROM unnest(:'operators'::text[]) AS n (name)
          JOIN pg_catalog.pg_operator o ON o.oid >= 16384 AND o.oid::pg_catalog.regoperator::text = n.name) AS w
  JOIN pg_catalog.pg_proc p ON p.oid = w.oid
  JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
 WHERE NOT r.rolsuper AND r.rolname <> current_user
 ORDER BY 1;
