-- The relations that views and materialized views read, with their schemas and the columns. Target side.
-- :'objects': the live tables and views.
-- Try it: psql -v objects="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f live/reads.sql
--
-- columns: JSON, each as [relation, column].
SELECT w.ev_class AS oid,
       array_agg(DISTINCT d.refobjid) AS relations,
       array_agg(DISTINCT n.nspname::text ORDER BY n.nspname::text) FILTER (WHERE n.nspname <> 'pg_catalog') AS schemas,
       jsonb_agg(DISTINCT jsonb_build_array(d.refobjid::bigint, a.attname)) FILTER (WHERE a.attname IS NOT NULL)
         AS columns
  FROM pg_catalog.pg_class v
  JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid
  JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
 WHERE v.oid = ANY (:'objects'::pg_catalog.oid[]) AND v.relkind IN ('v', 'm')
 GROUP BY w.ev_class;
