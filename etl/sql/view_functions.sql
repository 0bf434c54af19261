-- The functions in SQL that views call, also through other views, and that have no search_path of their own: names in
-- their bodies are looked up under the session's. Source side.
-- :'oids': the views.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f view_functions.sql
WITH RECURSIVE query AS (
    SELECT c.oid AS root, c.oid AS reads
      FROM pg_catalog.pg_class c
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]) AND c.relkind = 'v'
    UNION
    SELECT q.root, d.refobjid
      FROM query q
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
      JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
)
SELECT DISTINCT q.root AS oid, p.oid AS function_oid, p.oid::pg_catalog.regprocedure::text AS function
  FROM query q
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_proc'::regclass
  JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'sql'
 WHERE NOT EXISTS (SELECT FROM unnest(p.proconfig) AS s (setting) WHERE s.setting LIKE 'search\_path=%')
 ORDER BY 1, 3;
