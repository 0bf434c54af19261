-- The views in staging schemas that depend on staging tables, directly or through other views, as the statements that
-- drop them, in an order in which that is possible. Target side.
-- :'schemas', :'names': the staging tables.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -f staging_views.sql
WITH RECURSIVE resting (oid, depth) AS (
    SELECT c.oid, 0
      FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
    UNION
    SELECT r.ev_class, t.depth + 1
      FROM resting t
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid
       AND d.classid = 'pg_catalog.pg_rewrite'::regclass
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> t.oid
     WHERE t.depth < 1000
)
SELECT format('DROP %s %I.%I', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, n.nspname, c.relname)
           AS statement
  FROM resting t
  JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind IN ('v', 'm')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname LIKE 'etl\_staging%'
 GROUP BY c.oid, c.relkind, n.nspname, c.relname
 ORDER BY max(t.depth) DESC;
