-- Live tables or views, their partitions, and every view and materialized view that depends on one, except for other
-- sessions' temporary views. Target side.
-- :'schemas', :'names': the live tables and views.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f blockers/objects.sql
WITH RECURSIVE further AS (
    SELECT r.ev_class AS oid, d.refobjid AS rests_on
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND r.ev_class <> d.refobjid
       AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)
    UNION ALL
    SELECT i.inhrelid, i.inhparent
      FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p'
), object AS (
    SELECT c.oid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
    UNION
    SELECT f.oid FROM further f JOIN object o ON f.rests_on = o.oid
)
SELECT o.oid FROM object o;
