-- The untrusted functions that the objects of tables call, and that would run as this session's role: those that belong
-- neither to it nor to a superuser. Target side.
-- :'oids': the live tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f untrusted_code.sql
--
-- kind: the kind of object that calls: trigger, rule, check, constraint, index, generated, default, policy, statistics,
-- column (its type: a domain's constraints, a range's functions), or table (the key by which it is partitioned). The
-- functions of an extension belong to the role that installed it, mostly a superuser. An ordinary user may replace the
-- functions of an extension that it has installed, so an extension is no reason to trust a function. Functions that the
-- body of another function calls by name are not found: the body is text to the catalog.
WITH RECURSIVE relation (root, oid, is_written) AS (
    SELECT id, id, true FROM unnest(:'oids'::pg_catalog.oid[]) AS given (id)
    UNION
    -- a change of a table's rows may change rows of its partitions, of tables that refer to it, and of tables in its rules
    SELECT r.root, n.oid, n.is_written
      FROM relation r
     CROSS JOIN LATERAL (
           SELECT i.inhrelid AS oid, r.is_written
             FROM pg_catalog.pg_inherits i
             JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p'
            WHERE i.inhparent = r.oid
           UNION ALL
           SELECT k.conrelid, false
             FROM pg_catalog.pg_constraint k
            WHERE k.confrelid = r.oid AND k.contype = 'f'
              AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
           UNION ALL
           SELECT d.refobjid, r.is_written
             FROM pg_catalog.pg_rewrite w
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
            WHERE w.ev_class = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     ) AS n
), session AS (
    SELECT CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END AS mode,
           -- A foreign key's action runs as the owner of the referencing table. Before PostgreSQL 18, its AFTER triggers and
           -- its checks of deferrable indexes run as the role that has deleted the row.
           pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 180000 AS runs_later_as_us
), part AS (
    SELECT r.root, 'trigger' AS kind, 'pg_catalog.pg_trigger'::pg_catalog.regclass AS classid, t.oid AS objid, 0 AS objsubid
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgenabled IN ('A', s.mode)
     WHERE r.is_written OR (s.runs_later_as_us AND t.tgtype & 66 = 0)  -- neither BEFORE nor INSTEAD OF
    UNION ALL
    SELECT r.root, 'index', 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, 0
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
     WHERE r.is_written OR (s.runs_later_as_us AND NOT i.indimmediate)
    UNION ALL
    SELECT r.root, 'rule', 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid, 0
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid AND w.ev_enabled IN ('A', s.mode)
     WHERE r.is_written
    UNION ALL
    SELECT r.root, CASE WHEN k.contype = 'c' AND k.convalidated THEN 'check' ELSE 'constraint' END,
           'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0
      FROM relation r
      JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
     WHERE r.is_written
    UNION ALL
    SELECT r.root, CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated' END,
           'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, 0
      FROM relation r
      JOIN pg_catalog.pg_attrdef f ON f.adrelid = r.oid
      JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
     WHERE r.is_written
    UNION ALL
    SELECT r.root, 'policy', 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 0
      FROM relation r
      JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
     WHERE r.is_written
    UNION ALL
    SELECT r.root, 'statistics', 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, e.oid, 0
      FROM relation r
      JOIN pg_catalog.pg_statistic_ext e ON e.stxrelid = r.oid
     WHERE r.is_written
    UNION ALL
    SELECT r.root, CASE n.objsubid WHEN 0 THEN 'table' ELSE 'column' END,
           'pg_catalog.pg_class'::pg_catalog.regclass, r.oid, n.objsubid
      FROM relation r
     CROSS JOIN LATERAL (SELECT DISTINCT d.objsubid FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = r.oid) AS n
     WHERE r.is_written
), uses (root, kind, classid, objid, objsubid, refclassid, refobjid) AS (
    SELECT p.*, d.refclassid, d.refobjid
      FROM part p
      JOIN pg_catalog.pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND d.objsubid = p.objsubid
    UNION
    SELECT u.root, u.kind, u.classid, u.objid, u.objsubid, n.classid, n.objid
      FROM uses u
     CROSS JOIN LATERAL (
           SELECT d.refclassid AS classid, d.refobjid AS objid
             FROM pg_catalog.pg_depend d
            WHERE d.classid = u.refclassid AND d.objid = u.refobjid
              AND (u.refclassid <> 'pg_catalog.pg_class'::pg_catalog.regclass)
           UNION ALL  -- a domain's constraints
           SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid
             FROM pg_catalog.pg_constraint k
            WHERE u.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND k.contypid = u.refobjid
           UNION ALL  -- the types of a composite type's columns
           SELECT d.refclassid, d.refobjid
             FROM pg_catalog.pg_type t
             JOIN pg_catalog.pg_depend d ON d.objid = t.typrelid
            WHERE u.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = u.refobjid AND t.typrelid <> 0
              AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid > 0
           UNION ALL  -- implicit casts, and the cast to text, which the checksum uses
           SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, t.castfunc
             FROM pg_catalog.pg_cast t
            WHERE u.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.castsource = u.refobjid
              AND (t.castcontext = 'i' OR t.casttarget = 'text'::pg_catalog.regtype) AND t.castfunc <> 0
           UNION ALL  -- the functions and operators of an operator class's family
           SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, m.amproc
             FROM pg_catalog.pg_amproc m
            WHERE u.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND m.amprocfamily = u.refobjid
           UNION ALL
           SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, m.amopopr
             FROM pg_catalog.pg_amop m
            WHERE u.refclassid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND m.amopfamily = u.refobjid
     ) AS n
)
SELECT DISTINCT u.root AS oid, u.kind,
       pg_catalog.pg_describe_object(u.classid, u.objid, u.objsubid) AS what,
       -- "what" is in the server's language (lc_messages); a constraint's name is not
       (SELECT k.conname::pg_catalog.text FROM pg_catalog.pg_constraint k
         WHERE u.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = u.objid) AS "constraint",
       p.oid::pg_catalog.regprocedure::pg_catalog.text AS function,
       o.rolname::pg_catalog.text AS owner,
       CURRENT_USER::pg_catalog.text AS role
  FROM uses u
  JOIN pg_catalog.pg_proc p ON u.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = u.refobjid
  JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
 WHERE NOT o.rolsuper AND o.rolname <> CURRENT_USER
 ORDER BY 1, 2, 3, 4;
