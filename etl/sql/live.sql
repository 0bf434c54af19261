-- The live tables of a publish, and every view and materialized view that depends on one, directly or through other
-- views. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f live.sql
WITH RECURSIVE live AS (
    SELECT c.oid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
), views AS (
    SELECT r.ev_class AS oid, d.refobjid AS rests_on
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
      JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND r.ev_class <> d.refobjid
), found AS (
    SELECT oid FROM live
    UNION
    SELECT v.oid FROM views v JOIN found f ON v.rests_on = f.oid
), reads AS (
    SELECT v.oid,
           array_agg(DISTINCT v.rests_on) AS relations,
           array_agg(DISTINCT n.nspname::text ORDER BY n.nspname::text) FILTER (WHERE n.nspname <> 'pg_catalog') AS schemas
      FROM found f
      JOIN views v ON v.oid = f.oid
      JOIN pg_catalog.pg_class c ON c.oid = v.rests_on
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     GROUP BY v.oid
), part AS (
    -- the parts on which another object may depend: the table or view, its row type, and the array type of that
    SELECT oid, 'pg_catalog.pg_class'::regclass AS classid, oid AS objid FROM found
    UNION ALL
    SELECT f.oid, 'pg_catalog.pg_type'::regclass, t.id
      FROM found f
      JOIN pg_catalog.pg_class c ON c.oid = f.oid
      JOIN pg_catalog.pg_type y ON y.oid = c.reltype
     CROSS JOIN LATERAL unnest(ARRAY[y.oid, y.typarray]) AS t (id)
), query AS (
    -- the relations that a materialized view's query reads, directly or through views; not through another materialized
    -- view, whose rows are stored
    SELECT f.oid AS filled, f.oid AS reads
      FROM found f
      JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind = 'm'
    UNION
    SELECT q.filled, d.refobjid
      FROM query q
      JOIN pg_catalog.pg_class c ON c.oid = q.reads AND (c.relkind = 'v' OR c.oid = q.filled)
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
), called (filled, classid, objid) AS (
    -- the functions and operators that the query calls, also through aggregates, operators and BEGIN ATOMIC bodies
    SELECT q.filled, 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
      FROM query q JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
    UNION
    SELECT c.filled, d.refclassid, d.refobjid
      FROM called c
      JOIN pg_catalog.pg_depend d ON d.classid = c.classid AND d.objid = c.objid
       AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
), unproven AS MATERIALIZED (
    -- by what a query may read relations that pg_depend does not list: functions that are not immutable, or whose body
    -- reads a table
    SELECT c.filled, p.oid::pg_catalog.regprocedure::text AS what
      FROM called c
      JOIN pg_catalog.pg_proc p ON c.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = c.objid
     WHERE p.pronamespace <> 'pg_catalog'::regnamespace
       AND (p.provolatile <> 'i'
            OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                          AND d.refclassid = 'pg_catalog.pg_class'::regclass))
    UNION
    -- system columns: ctid, xmin and tableoid are those of the staging table before the publish, but may be read later
    SELECT q.filled, 'a system column of ' || d.refobjid::pg_catalog.regclass
      FROM query q
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid < 0
    UNION
    -- PostgreSQL's functions that take a query or a name as text; pg_depend does not list PostgreSQL's own functions
    SELECT q.filled, p.oid::pg_catalog.regprocedure::text
      FROM query q
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
      JOIN pg_catalog.pg_proc p ON p.pronamespace = 'pg_catalog'::regnamespace
       AND p.proname ~ '^((query|table|schema|database|cursor)_to_xml|ts_(stat|rewrite)$|pg_.*_size$|lo_get$)'
       AND strpos(r.ev_action::text, ':funcid ' || p.oid || ' ') > 0
    UNION
    SELECT q.filled, 'row security of ' || q.reads::pg_catalog.regclass
      FROM query q JOIN pg_catalog.pg_class c ON c.oid = q.reads AND c.relrowsecurity
), publisher AS (
    -- pg_publication_tables includes publications FOR TABLES IN SCHEMA; `etl check` warns of those FOR ALL TABLES
    SELECT f.oid, 'publication ' || quote_ident(t.pubname) || ' (its subscribers hear of changed rows only)' AS what
      FROM pg_catalog.pg_publication p
      JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
      JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
      JOIN live f ON f.oid = c.oid
     WHERE NOT p.puballtables
    UNION
    SELECT f.oid, 'a subscription, which fills it'
      FROM live f JOIN pg_catalog.pg_subscription_rel s ON s.srrelid = f.oid
), obstacle AS MATERIALIZED (  -- else it would be found anew for each table
    SELECT p.oid, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS what
      FROM part p
      JOIN pg_catalog.pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid AND d.deptype = 'n'
        -- the publish replaces its tables and views together, with their rules
     WHERE NOT (d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid IN (
                SELECT r.oid FROM pg_catalog.pg_rewrite r JOIN found v ON v.oid = r.ev_class))
       AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (SELECT oid FROM found))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o
                        WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype IN ('a', 'i')
                          AND o.refclassid = 'pg_catalog.pg_class'::regclass
                          AND o.refobjid IN (SELECT oid FROM found))
    UNION
    SELECT f.oid, 'extension ' || quote_ident(e.extname) || ', which it belongs to'
      FROM found f
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.oid AND d.deptype = 'e'
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    UNION
    SELECT f.oid, 'the table that it is a partition or an inheritance child of'
      FROM found f
      JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.oid
    UNION
    -- a constraint trigger of another table, FROM this one: dropped with this table
    SELECT f.oid, pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::regclass, t.oid, 0)
      FROM live f
      JOIN pg_catalog.pg_trigger t ON t.tgconstrrelid = f.oid AND t.tgrelid <> f.oid AND NOT t.tgisinternal
    UNION
    SELECT oid, what FROM publisher
)
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       c.oid IN (SELECT oid FROM live) AS is_live,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.obj_description(c.oid, 'pg_class') IS NOT NULL AS has_comment,
       coalesce(c.reloptions, '{}') AS options,
       c.relispopulated AS is_populated,
       -- the conditions of REFRESH MATERIALIZED VIEW CONCURRENTLY
       c.relispopulated AND EXISTS (SELECT FROM pg_catalog.pg_index i
                                     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                                       AND i.indpred IS NULL AND i.indexprs IS NULL) AS refreshes_concurrently,
       coalesce(r.relations, '{}') AS rests_on,
       coalesce(r.schemas, '{}') AS reads_schemas,
       CASE WHEN c.relkind IN ('v', 'm') THEN rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') END AS definition,
       -- the columns that a view reads, as (relation, column)
       (SELECT coalesce(json_agg(DISTINCT jsonb_build_array(d.refobjid::bigint, a.attname)), '[]')
          FROM pg_catalog.pg_rewrite w
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0
          JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE w.ev_class = c.oid AND d.refobjid <> c.oid AND c.relkind IN ('v', 'm')) AS reads_columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND pg_catalog.col_description(c.oid, a.attnum) IS NOT NULL) AS commented_columns,
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
       -- the sequences that a column owns; that of an identity column has deptype i
       ARRAY(SELECT q.relname::text
               FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
              WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
                AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a' ORDER BY 1) AS sequences,
       ARRAY(SELECT u.what FROM unproven u WHERE u.filled = c.oid ORDER BY 1) AS unproven,
       ARRAY(SELECT b.what FROM obstacle b WHERE b.oid = c.oid ORDER BY b.what) AS obstacles
  FROM found f
  JOIN pg_catalog.pg_class c ON c.oid = f.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN reads r ON r.oid = c.oid
 ORDER BY n.nspname, c.relname;
