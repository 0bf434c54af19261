-- What the columns, constraints, indexes and extended statistics of tables need of the target: functions, operators,
-- operator classes, collations and the like that are not PostgreSQL's own, one row each. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f needs.sql
--
-- kind, part:  what needs it: a column, check, constraint (with an index), index or statistics, and its name
-- class:       what is needed; "own row" is the table's own row type, which differs in staging, "whole row" a mention
--              of the table by its name in an expression
-- schema, name, arguments: the name by which the target is asked (lacking.sql)
-- result:      of a function, what it is and returns, because the target's may be another one of the same name
-- label:       the same for people
-- extension:   the extension that it is a member of
--
-- A column needs what its type needs, through all types that the target can be given; not those that have to be there
-- already, because types.sql has these.
WITH RECURSIVE part (root, kind, name, classid, objid, objsubid) AS (
    SELECT a.attrelid, 'column', a.attname::text, 'pg_catalog.pg_class'::regclass::oid, a.attrelid, a.attnum::integer
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ANY (:'oids'::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT i.indrelid,
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k
                              WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
                THEN 'constraint' ELSE 'index' END,
           ic.relname::text, 'pg_catalog.pg_class'::regclass, i.indexrelid, 0
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
     WHERE i.indrelid = ANY (:'oids'::pg_catalog.oid[]) AND i.indisvalid
    UNION ALL
    SELECT k.conrelid, CASE k.contype WHEN 'c' THEN 'check' ELSE 'constraint' END, k.conname::text,
           'pg_catalog.pg_constraint'::regclass, k.oid, 0
      FROM pg_catalog.pg_constraint k
     WHERE k.conrelid = ANY (:'oids'::pg_catalog.oid[]) AND k.contype IN ('c', 'p', 'u', 'x')
    UNION ALL
    SELECT s.stxrelid, 'statistics', s.stxname::text, 'pg_catalog.pg_statistic_ext'::regclass, s.oid, 0
      FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = ANY (:'oids'::pg_catalog.oid[])
), uses (root, kind, name, classid, objid) AS (
    SELECT p.root, p.kind, p.name, d.refclassid, d.refobjid
      FROM part p
      JOIN pg_catalog.pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND d.objsubid = p.objsubid
     WHERE d.refobjid <> p.root AND d.deptype NOT IN ('P', 'S')  -- a partition's index arrives without the parent's
    UNION
    SELECT u.root, u.kind, u.name, n.classid, n.objid
      FROM uses u
      JOIN pg_catalog.pg_type t ON u.classid = 'pg_catalog.pg_type'::regclass AND t.oid = u.objid
     CROSS JOIN LATERAL (
           SELECT d.refclassid AS classid, d.refobjid AS objid
             FROM pg_catalog.pg_depend d
            WHERE d.classid = u.classid AND d.objid = u.objid
           UNION ALL  -- a domain's constraints
           SELECT d.refclassid, d.refobjid
             FROM pg_catalog.pg_constraint k
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
            WHERE k.contypid = t.oid
           UNION ALL  -- the columns of a composite type
           SELECT d.refclassid, d.refobjid
             FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.typrelid AND t.typrelid <> 0
     ) AS n
     WHERE u.kind = 'column'
       -- a base type, a table's row type or an extension's type is there with all that it needs, or is not there
       AND (t.typtype <> 'b' OR EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                        WHERE e.classid = u.classid AND e.objid = t.oid AND e.deptype = 'e')
), object (classid, objid, class, namespace, name, arguments, result) AS (
    SELECT 'pg_catalog.pg_proc'::regclass::oid, p.oid, 'function', p.pronamespace, p.proname,
           array_to_string(ARRAY(SELECT pg_catalog.format_type(a.type, NULL)
                                   FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                                  ORDER BY a.position), ','),
           concat_ws(' ', 'function returning', pg_catalog.pg_get_function_result(p.oid))
      FROM pg_catalog.pg_proc p
     WHERE p.oid IN (SELECT u.objid FROM uses u WHERE u.classid = 'pg_catalog.pg_proc'::regclass)
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass, o.oid, 'operator', o.oprnamespace, o.oprname,
           concat_ws(',', CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END,
                     pg_catalog.format_type(o.oprright, NULL)), ''
      FROM pg_catalog.pg_operator o
     WHERE o.oid IN (SELECT u.objid FROM uses u WHERE u.classid = 'pg_catalog.pg_operator'::regclass)
    UNION ALL
    SELECT 'pg_catalog.pg_opclass'::regclass, o.oid, 'operator class', o.opcnamespace, o.opcname,
           (SELECT a.amname::text FROM pg_catalog.pg_am a WHERE a.oid = o.opcmethod), ''
      FROM pg_catalog.pg_opclass o
    UNION ALL
    SELECT 'pg_catalog.pg_am'::regclass, a.oid, 'access method', NULL, a.amname, '', '' FROM pg_catalog.pg_am a
    UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass, c.oid, 'collation', c.collnamespace, c.collname, '', ''
      FROM pg_catalog.pg_collation c
    UNION ALL
    SELECT 'pg_catalog.pg_ts_config'::regclass, c.oid, 'text search configuration', c.cfgnamespace, c.cfgname, '', ''
      FROM pg_catalog.pg_ts_config c
    UNION ALL
    SELECT 'pg_catalog.pg_ts_dict'::regclass, d.oid, 'text search dictionary', d.dictnamespace, d.dictname, '', ''
      FROM pg_catalog.pg_ts_dict d
    UNION ALL
    -- within an expression; types and statistics depend on the schema that they are in
    SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, 'schema', NULL, n.nspname, '', '' FROM pg_catalog.pg_namespace n
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, CASE c.relkind WHEN 'c' THEN 'type' ELSE 'relation' END, c.relnamespace,
           c.relname, '', ''
      FROM pg_catalog.pg_class c
     WHERE c.oid IN (SELECT u.objid FROM uses u WHERE u.classid = 'pg_catalog.pg_class'::regclass)
    UNION ALL
    -- a column's own types are in types.sql; of an array, its elements' type: the array's may have another name
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, 'type', e.typnamespace, e.typname, '', ''
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_type e
        ON e.oid = coalesce((SELECT i.oid FROM pg_catalog.pg_type i WHERE i.typarray = t.oid), t.oid)
     WHERE t.oid IN (SELECT u.objid FROM uses u WHERE u.classid = 'pg_catalog.pg_type'::regclass AND u.kind <> 'column')
)
SELECT DISTINCT u.root AS oid, u.kind, u.name AS part, o.class, n.nspname::text AS schema, o.name::text AS name,
       coalesce(o.arguments, '') AS arguments, o.result,
       CASE WHEN o.class IN ('function', 'operator') THEN format('%s %s.%s(%s)', o.class, n.nspname, o.name, o.arguments)
            WHEN o.class = 'operator class' THEN format('%s %s.%s (%s)', o.class, n.nspname, o.name, o.arguments)
            ELSE concat_ws(' ', o.class, concat_ws('.', n.nspname, o.name)) END AS label,
       x.extname::text AS extension
  FROM uses u
  JOIN object o ON o.classid = u.classid AND o.objid = u.objid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
  LEFT JOIN pg_catalog.pg_depend m ON m.classid = u.classid AND m.objid = u.objid
   AND m.refclassid = 'pg_catalog.pg_extension'::regclass AND m.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension x ON x.oid = m.refobjid
 -- PostgreSQL's own types, functions and so on are in every target (pg_catalog's collations are the machine's)
 WHERE (u.objid >= 16384 OR o.class = 'collation') AND (u.kind <> 'column' OR o.class <> 'type')
   AND (u.kind NOT IN ('column', 'statistics') OR o.class <> 'schema')
UNION
-- the table's own row type, or a function that takes it: the staging table's row type is another one
SELECT u.root, u.kind, u.name, 'own row', '', '', '', '', coalesce(p.oid::pg_catalog.regprocedure::text, ''), NULL
  FROM uses u
  JOIN pg_catalog.pg_class c ON c.oid = u.root
  JOIN pg_catalog.pg_type t ON t.oid = c.reltype
  LEFT JOIN pg_catalog.pg_proc p ON u.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = u.objid
 WHERE u.kind <> 'column'
   AND (u.classid = 'pg_catalog.pg_type'::regclass AND u.objid IN (t.oid, t.typarray)
        OR p.proargtypes::oid[] && ARRAY[t.oid, t.typarray])
UNION
-- a whole-row variable: the definition names the table
SELECT p.root, p.kind, p.name, 'whole row', '', '', '', '', '', NULL
  FROM part p
  LEFT JOIN pg_catalog.pg_constraint k ON p.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = p.objid
  LEFT JOIN pg_catalog.pg_index i ON p.classid = 'pg_catalog.pg_class'::regclass AND i.indexrelid = p.objid
 WHERE p.kind <> 'column' AND concat_ws(' ', k.conbin, i.indexprs, i.indpred) LIKE '%:varattno 0 %'
 ORDER BY 1, 2, 3, 4, 5, 6, 7;
