-- The live tables of a publish that exist, and every view and materialized view that depends on one, directly or
-- through other views, except for other sessions' temporary views (see temporary.sql). Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f live/objects.sql
WITH RECURSIVE live AS (
    SELECT c.oid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
), view AS (
    SELECT r.ev_class AS oid, d.refobjid AS rests_on
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND r.ev_class <> d.refobjid
       AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)
), object AS (
    SELECT oid FROM live
    UNION
    SELECT v.oid FROM view v JOIN object o ON v.rests_on = o.oid
)
SELECT o.oid, o.oid IN (SELECT l.oid FROM live l) AS is_live
  FROM object o;
