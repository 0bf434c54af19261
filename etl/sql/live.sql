-- What hangs on the live tables of one publish and has to be put back, one row an object. Target side.
-- An object is a live table itself (depth 0) or a view or materialized view that rests on one, however
-- indirectly (depth > 0). Try it: psql -v schemas='{public}' -v names='{orders}' -f live.sql
WITH RECURSIVE live AS (
    SELECT c.oid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
), views AS (
    SELECT r.ev_class AS oid, d.refobjid AS rests_on
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND r.ev_class <> d.refobjid
), found AS (
    SELECT oid FROM live
    UNION
    SELECT v.oid FROM views v JOIN found f ON v.rests_on = f.oid
)
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       c.oid IN (SELECT oid FROM live) AS is_live,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       coalesce(c.reloptions, '{}') AS options,
       c.relispopulated AS is_populated,
       CASE WHEN c.relkind IN ('v', 'm') THEN rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') END AS definition,
       ARRAY(SELECT DISTINCT v.rests_on FROM views v JOIN found f ON f.oid = v.rests_on
              WHERE v.oid = c.oid) AS rests_on,
       -- NULL: never granted nor revoked, so the owner's default holds
       c.relacl IS NULL AS has_default_acl,
       (SELECT coalesce(json_agg(json_build_object(
                 'column', g.attname, 'privilege', g.privilege_type, 'grantable', g.is_grantable,
                 'grantee', CASE WHEN g.grantee <> 0 THEN pg_catalog.pg_get_userbyid(g.grantee) END)), '[]')
          FROM (SELECT NULL AS attname, x.* FROM pg_catalog.aclexplode(c.relacl) x
                UNION ALL
                SELECT a.attname, x.* FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
                 WHERE a.attrelid = c.oid AND NOT a.attisdropped) g) AS privileges,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(json_object_agg(a.attname, pg_catalog.col_description(c.oid, a.attnum)), '{}')
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           AND pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL) AS column_comments,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', ic.relname, 'definition', pg_catalog.pg_get_indexdef(i.indexrelid))
                 ORDER BY ic.relname), '[]')
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
         WHERE i.indrelid = c.oid
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                            WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid)) AS indexes,
       (SELECT coalesce(jsonb_agg(pg_catalog.pg_describe_object(d.classid, d.objid, 0)
                        ORDER BY pg_catalog.pg_describe_object(d.classid, d.objid, 0)), '[]')
          FROM (SELECT DISTINCT d.classid, d.objid
                  -- joined, not OR: each of the three is looked up in pg_depend's index
                  FROM (VALUES ('pg_catalog.pg_class'::regclass, c.oid),
                               ('pg_catalog.pg_type'::regclass, c.reltype),
                               ('pg_catalog.pg_type'::regclass,
                                (SELECT t.typarray FROM pg_catalog.pg_type t WHERE t.oid = c.reltype))) r (class, oid)
                  JOIN pg_catalog.pg_depend d ON d.refclassid = r.class AND d.refobjid = r.oid
                 WHERE (d.deptype = 'n' AND d.classid <> 'pg_catalog.pg_rewrite'::regclass
                     -- what is its own and would go with it unseen; a view's query is not among them
                     OR d.deptype = 'a' AND d.classid IN (
                            'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_policy'::regclass,
                            'pg_catalog.pg_rewrite'::regclass))
                   -- a check constraint of the table itself hangs on its columns, and goes with it
                   AND NOT (d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid IN (
                            SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'))
                   -- another live table of the same publish goes and comes with this one
                   AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (SELECT oid FROM live))
               ) d)
         || CASE WHEN c.relrowsecurity THEN '["its row security"]'::jsonb ELSE '[]' END AS obstacles
  FROM found f
  JOIN pg_catalog.pg_class c ON c.oid = f.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname;
