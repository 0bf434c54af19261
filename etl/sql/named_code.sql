-- The functions and operators, other than PostgreSQL's own, that the indexes, constraints and extended statistics of
-- tables call. In the target, they would call the functions and operators of the same names. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f named_code.sql
WITH object AS (
    SELECT i.indrelid AS oid, 'pg_catalog.pg_class'::regclass AS classid, i.indexrelid AS objid
      FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (:'oids'::pg_catalog.oid[])
    UNION ALL
    SELECT k.conrelid, 'pg_catalog.pg_constraint'::regclass, k.oid
      FROM pg_catalog.pg_constraint k WHERE k.conrelid = ANY (:'oids'::pg_catalog.oid[])
    UNION ALL
    SELECT s.stxrelid, 'pg_catalog.pg_statistic_ext'::regclass, s.oid
      FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT DISTINCT o.oid,
       pg_catalog.pg_describe_object(o.classid, o.objid, 0) AS what,
       CASE WHEN d.refclassid = 'pg_catalog.pg_proc'::regclass
            THEN d.refobjid::pg_catalog.regprocedure::text END AS function,
       CASE WHEN d.refclassid = 'pg_catalog.pg_operator'::regclass
            THEN d.refobjid::pg_catalog.regoperator::text END AS operator
  FROM object o
  JOIN pg_catalog.pg_depend d ON d.classid = o.classid AND d.objid = o.objid
   AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
 WHERE d.refobjid >= 16384
 ORDER BY 1, 2, 3, 4;
