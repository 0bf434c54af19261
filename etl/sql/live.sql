-- The live tables of a publish, and every view and materialized view that depends on one, directly or through other
-- views: what the publish has to know of each. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: python -m etl.sessions.query live | psql -v schemas='{public}' -v names='{orders}'
--
-- Each file of live/ is a CTE of this query, and runs by itself, too. The others take the oids of objects.sql.
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       o.is_live,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_ours,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       coalesce(c.reloptions, '{}') AS options,
       nullif(coalesce(ts.spcname, ds.spcname),
              coalesce(nullif(current_setting('default_tablespace'), ''), ds.spcname))::text AS tablespace,
       nullif(am.amname, current_setting('default_table_access_method'))::text AS method,
       c.relispopulated AS is_populated,
       -- the conditions of REFRESH MATERIALIZED VIEW CONCURRENTLY
       c.relispopulated AND EXISTS (SELECT FROM pg_catalog.pg_index i
                                     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                                       AND i.indpred IS NULL AND i.indexprs IS NULL) AS refreshes_concurrently,
       coalesce(r.relations, '{}') AS rests_on,
       coalesce(r.schemas, '{}') AS reads_schemas,
       CASE WHEN c.relkind IN ('v', 'm') THEN rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') END AS definition,
       coalesce(r.columns, '[]') AS reads_columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL) AS commented_columns,
       ARRAY(SELECT 'index ' || ic.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
              WHERE i.indrelid = c.oid AND pg_catalog.obj_description(ic.oid, 'pg_class') IS NULL
              UNION ALL
             SELECT 'constraint ' || k.conname FROM pg_catalog.pg_constraint k
              WHERE k.conrelid = c.oid AND pg_catalog.obj_description(k.oid, 'pg_constraint') IS NULL
              UNION ALL
             SELECT 'statistics ' || s.stxname FROM pg_catalog.pg_statistic_ext s
              WHERE s.stxrelid = c.oid AND pg_catalog.obj_description(s.oid, 'pg_statistic_ext') IS NULL) AS uncommented,
       ARRAY(SELECT DISTINCT CASE WHEN x.grantee <> 0 THEN pg_catalog.pg_get_userbyid(x.grantee)::text END
               FROM (SELECT c.relacl AS acl
                      UNION ALL
                     SELECT a.attacl FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL
                    ) AS g
              CROSS JOIN pg_catalog.aclexplode(g.acl) x WHERE x.grantee <> c.relowner) AS grantees,
       ARRAY(SELECT ic.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
              WHERE i.indrelid = c.oid ORDER BY 1) AS indexes,
       ARRAY(SELECT k.conname::text FROM pg_catalog.pg_constraint k
              WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c') ORDER BY 1) AS constraints,
       ARRAY(SELECT k.conname::text FROM pg_catalog.pg_constraint k
              WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 1) AS foreign_keys,
       ARRAY(SELECT s.stxname::text FROM pg_catalog.pg_statistic_ext s
              WHERE s.stxrelid = c.oid AND s.stxnamespace = c.relnamespace ORDER BY 1) AS statistics,
       -- those in another schema than their table, as [schema, name, their name in staging, which extras.sql has, too]
       ARRAY(SELECT jsonb_build_array(sn.nspname, s.stxname,
                                      'etl_' || left(encode(sha256(convert_to(format('%I.%I', sn.nspname, s.stxname),
                                                                              'UTF8')), 'hex'), 40))
               FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
              WHERE s.stxrelid = c.oid AND s.stxnamespace <> c.relnamespace
              ORDER BY sn.nspname, s.stxname) AS statistics_elsewhere,
       -- the sequences that a column owns; that of an identity column has deptype i
       ARRAY(SELECT q.relname::text
               FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
              WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
                AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a' ORDER BY 1) AS sequences,
       coalesce(u.list, '{}') AS unproven,
       coalesce(b.list, '{}') AS obstacles
  FROM objects o
  JOIN pg_catalog.pg_class c ON c.oid = o.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_database dd ON dd.datname = current_database()
  JOIN pg_catalog.pg_tablespace ds ON ds.oid = dd.dattablespace
  LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  LEFT JOIN reads r ON r.oid = c.oid
  LEFT JOIN (SELECT oid, array_agg(what ORDER BY what) AS list FROM unproven GROUP BY oid) AS u ON u.oid = c.oid
  LEFT JOIN (SELECT oid, array_agg(what ORDER BY what) AS list FROM obstacles GROUP BY oid) AS b ON b.oid = c.oid
 ORDER BY n.nspname, c.relname;
