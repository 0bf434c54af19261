-- A live table that `etl retire` is to drop: what it is, and what the reporting side has hung on it, which goes with it.
-- Target side.
-- :'oid': the table; :'carried': the indexes, constraints and statistics on it that came from the source.
-- Try it: psql -v oid="$(psql -Atc "SELECT 'orders'::regclass::oid")" -v carried='{orders_pkey}' -f hangs_on.sql
--
-- What depends on the table and is not a part of it, such as a view, is not listed: it stops the DROP.
-- An index of a constraint is left out, as are foreign keys' triggers and views' rules, which are no objects of their own.
SELECT n.nspname::text AS schema, c.relname::text AS name,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_ours,
       CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_catalog.pg_total_relation_size(t.relid))
                                         FROM pg_catalog.pg_partition_tree(c.oid) t)
            ELSE pg_catalog.pg_total_relation_size(c.oid) END::int8 AS bytes,
       ARRAY(SELECT h.what
               FROM (SELECT 'index ' || x.relname AS what
                       FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                      WHERE i.indrelid = c.oid AND x.relname <> ALL (:'carried'::text[])
                        AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.conindid = x.oid
                                                                                 AND k.contype IN ('p', 'u', 'x'))
                      UNION ALL
                     SELECT 'constraint ' || k.conname
                       FROM pg_catalog.pg_constraint k
                      WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c', 'f')
                        AND k.conname <> ALL (:'carried'::text[])
                      UNION ALL
                     SELECT 'statistics ' || s.stxname
                       FROM pg_catalog.pg_statistic_ext s
                      WHERE s.stxrelid = c.oid AND s.stxname <> ALL (:'carried'::text[])
                      UNION ALL
                     SELECT 'trigger ' || t.tgname
                       FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                      UNION ALL
                     SELECT 'policy ' || p.polname FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid
                      UNION ALL
                     SELECT 'rule ' || r.rulename FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid
                      UNION ALL
                     SELECT 'sequence ' || s.relname
                       FROM pg_catalog.pg_depend d
                       JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid
                        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
                      UNION ALL
                     SELECT 'partition ' || t.relid::regclass::text
                       FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.relid <> c.oid
                      UNION ALL
                     SELECT 'its place in publication ' || p.pubname
                       FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
                      WHERE r.prrelid = c.oid
                      UNION ALL
                     SELECT DISTINCT 'privileges of ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                                                              ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END
                       FROM (SELECT (pg_catalog.aclexplode(c.relacl)).grantee
                              UNION  -- those on single columns
                             SELECT (pg_catalog.aclexplode(t.attacl)).grantee
                               FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS a
                      WHERE a.grantee <> c.relowner) AS h
              ORDER BY h.what) AS hung
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = :'oid'::pg_catalog.oid;
