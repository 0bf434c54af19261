-- The extensions that the indexes, constraints and extended statistics of tables need, for an operator class, an access
-- method or a function. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f extensions.sql
WITH object AS (
    SELECT 'pg_catalog.pg_class'::regclass AS classid, i.indexrelid AS objid
      FROM pg_catalog.pg_index i WHERE i.indrelid = ANY (:'oids'::pg_catalog.oid[])
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid
      FROM pg_catalog.pg_constraint k WHERE k.conrelid = ANY (:'oids'::pg_catalog.oid[])
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid
      FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT DISTINCT x.extname::text AS name, n.nspname::text AS schema
  FROM object o
  JOIN pg_catalog.pg_depend d ON d.classid = o.classid AND d.objid = o.objid
  JOIN pg_catalog.pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid
   AND m.refclassid = 'pg_catalog.pg_extension'::regclass AND m.deptype = 'e'
  JOIN pg_catalog.pg_extension x ON x.oid = m.refobjid
  JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
 ORDER BY 1;
