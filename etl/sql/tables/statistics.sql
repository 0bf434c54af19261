-- The extended statistics of tables. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/statistics.sql
--
-- definition: kinds and columns, which are between the statistics' name and the table's.
SELECT c.oid,
       row_number() OVER (PARTITION BY c.oid ORDER BY s.stxname) AS position,
       s.stxname AS name,
       substr(d.text, length(d.before) + 1, length(d.text) - length(d.before) - length(d.after)) AS definition,
       ARRAY(SELECT DISTINCT a.attname::text
               FROM pg_catalog.pg_depend p
               JOIN pg_catalog.pg_attribute a ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid
              WHERE p.classid = 'pg_catalog.pg_statistic_ext'::regclass AND p.objid = s.oid
                AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = c.oid) AS columns,
       pg_catalog.obj_description(s.oid, 'pg_statistic_ext') AS comment
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = c.oid
  JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) AS text,
                            format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname) AS before,
                            format(' FROM %I.%I', n.nspname, c.relname) AS after) AS d
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
