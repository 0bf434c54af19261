-- Those of the functions and operators that exist in this database and are untrusted: they belong neither to this
-- session's role nor to a superuser. Target side.
-- :'functions', :'operators': their names with their arguments' types.
-- Try it: psql -v functions='{"public.f(integer)"}' -v operators='{}' -f code_owners.sql
SELECT w.name, p.oid::pg_catalog.regprocedure::text AS function, r.rolname::text AS owner, current_user::text AS role
  FROM (SELECT f.name, pg_catalog.to_regprocedure(f.name)::pg_catalog.oid AS oid
          FROM unnest(:'functions'::text[]) AS f (name)
         UNION ALL
        SELECT n.name, o.oprcode::pg_catalog.oid
          FROM unnest(:'operators'::text[]) AS n (name)
          JOIN pg_catalog.pg_operator o ON o.oid = pg_catalog.to_regoperator(n.name)) AS w
  JOIN pg_catalog.pg_proc p ON p.oid = w.oid
  JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
 WHERE NOT r.rolsuper AND r.rolname <> current_user
 ORDER BY 1;
