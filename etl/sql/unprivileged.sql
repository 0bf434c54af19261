-- What this session's role, or the owner of a materialized view, may not do, and has to for a swap of live tables: one
-- row each, with what to grant. Target side.
-- :'oids': the live tables, and the views on them; :'roles': the roles as which attachments are put back.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -v roles='{}' -f unprivileged.sql
--
-- oid: the table or view; NULL for a role, which is in role
-- is_of_swap: whether it is needed only if the table is swapped, or the view made again
WITH session AS (
    SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 160000
                THEN 'SET' ELSE 'MEMBER' END AS may_set,
           -- a repeated GRANT leaves the options of a membership as they are, unless it names them
           CASE WHEN pg_catalog.current_setting('server_version_num')::integer >= 160000
                THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END AS with_options
), object AS (
    SELECT c.oid, c.relkind, c.relispopulated, c.relowner, c.relnamespace, n.nspname, c.oid::pg_catalog.regclass::text AS name,
           r.rolname::text AS owner, r.rolsuper AS is_superuser,
           CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END AS word
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]) AND c.relkind IN ('r', 'v', 'm')
), part (oid, classid, objid, kind) AS (
    -- what a swap makes again on the new table, beside its views
    SELECT o.oid, 'pg_catalog.pg_class'::regclass::oid, i.indexrelid, 'index'
      FROM object o JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_constraint'::regclass, k.oid, CASE WHEN k.contype = 'c' AND k.convalidated THEN 'check' ELSE 'constraint' END
      FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_statistic_ext'::regclass, s.oid, 'statistics'
      FROM object o JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = o.oid
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_policy'::regclass, p.oid, 'policy' FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_trigger'::regclass, t.oid, 'trigger'
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_attrdef'::regclass, d.oid, 'default'
      FROM object o JOIN pg_catalog.pg_attrdef d ON d.adrelid = o.oid
    UNION ALL
    SELECT o.oid, 'pg_catalog.pg_rewrite'::regclass, w.oid, 'rule'
      FROM object o JOIN pg_catalog.pg_rewrite w ON w.ev_class = o.oid AND w.rulename <> '_RETURN'
), uses AS (
    SELECT DISTINCT p.oid, p.classid, p.objid, p.kind, d.refclassid, d.refobjid
      FROM part p
      JOIN pg_catalog.pg_depend d ON d.classid = p.classid AND d.objid = p.objid AND d.refobjid <> p.oid
), read AS (
    SELECT DISTINCT o.oid, d.refobjid, d.refobjsubid, d.refclassid
      FROM object o
      JOIN pg_catalog.pg_rewrite w ON w.ev_class = o.oid AND o.relkind IN ('v', 'm')
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
       AND d.refobjid <> o.oid
), referred AS (
    SELECT r.oid, r.refclassid, r.refobjid FROM read r UNION SELECT u.oid, u.refclassid, u.refobjid FROM uses u
), named AS (
    SELECT r.oid, c.relnamespace AS namespace FROM referred r JOIN pg_catalog.pg_class c
        ON r.refclassid = 'pg_catalog.pg_class'::regclass AND c.oid = r.refobjid
    UNION
    SELECT r.oid, p.pronamespace FROM referred r JOIN pg_catalog.pg_proc p
        ON r.refclassid = 'pg_catalog.pg_proc'::regclass AND p.oid = r.refobjid
    UNION
    SELECT r.oid, t.typnamespace FROM referred r JOIN pg_catalog.pg_type t
        ON r.refclassid = 'pg_catalog.pg_type'::regclass AND t.oid = r.refobjid
    UNION
    SELECT r.oid, p.oprnamespace FROM referred r JOIN pg_catalog.pg_operator p
        ON r.refclassid = 'pg_catalog.pg_operator'::regclass AND p.oid = r.refobjid
    UNION
    SELECT r.oid, p.opcnamespace FROM referred r JOIN pg_catalog.pg_opclass p
        ON r.refclassid = 'pg_catalog.pg_opclass'::regclass AND p.oid = r.refobjid
    UNION
    SELECT r.oid, p.collnamespace FROM referred r JOIN pg_catalog.pg_collation p
        ON r.refclassid = 'pg_catalog.pg_collation'::regclass AND p.oid = r.refobjid
    UNION
    SELECT o.oid, o.relnamespace FROM object o
)
SELECT o.oid, NULL::text AS role,
       format('%s%s belongs to %s, of which %s is no member', o.word, o.name, o.owner, current_user) AS what,
       CASE WHEN o.is_superuser THEN format('ALTER %s%s OWNER TO %I', upper(o.word), o.name, current_user)
            ELSE format('GRANT %I TO %I', o.owner, current_user) || s.with_options END AS remedy,
       false AS is_of_swap
  FROM session s
 CROSS JOIN object o
 WHERE NOT (pg_catalog.pg_has_role(o.relowner, 'USAGE') AND pg_catalog.pg_has_role(o.relowner, s.may_set))
UNION ALL
SELECT NULL, r.name::text, format('privileges were granted as %s, of which %s is no member', r.name, current_user),
       format('GRANT %I TO %I', r.name, current_user) || s.with_options, true
  FROM session s
 CROSS JOIN unnest(:'roles'::name[]) AS r (name)
 WHERE NOT pg_catalog.pg_has_role(r.name, s.may_set)
UNION ALL
SELECT n.oid, NULL, format('%s%s needs schema %s, which %s may not use', o.word, o.name, quote_ident(g.nspname), current_user),
       format('GRANT USAGE ON SCHEMA %I TO %I', g.nspname, current_user), true
  FROM named n
  JOIN object o ON o.oid = n.oid
  JOIN pg_catalog.pg_namespace g ON g.oid = n.namespace
 WHERE NOT pg_catalog.has_schema_privilege(g.oid, 'USAGE')
UNION ALL
-- CREATE TRIGGER asks for the privilege of this session's role. A check that is validated, an index that is built and
-- statistics that are collected run the function: as this session's role, or as the table's owner.
SELECT u.oid, NULL, format('%s calls %s, which %s may not', pg_catalog.pg_describe_object(u.classid, u.objid, 0),
                     u.refobjid::pg_catalog.regprocedure, r.rolname),
       format('GRANT EXECUTE ON FUNCTION %s TO %I', u.refobjid::pg_catalog.regprocedure, r.rolname), true
  FROM uses u
  JOIN object o ON o.oid = u.oid
  JOIN pg_catalog.pg_roles r
    ON r.rolname = CASE WHEN u.kind IN ('trigger', 'check') THEN current_user ELSE o.owner END
 WHERE u.refclassid = 'pg_catalog.pg_proc'::regclass
   AND u.kind IN ('trigger', 'check', 'index', 'statistics')
   AND NOT pg_catalog.has_function_privilege(r.oid, u.refobjid, 'EXECUTE')
UNION ALL
-- a materialized view is filled as its owner
SELECT o.oid, NULL, format('%s%s is filled as %s, who may not call %s', o.word, o.name, o.owner,
                     r.refobjid::pg_catalog.regprocedure),
       format('GRANT EXECUTE ON FUNCTION %s TO %I', r.refobjid::pg_catalog.regprocedure, o.owner), false
  FROM object o
  JOIN read r ON r.oid = o.oid AND r.refclassid = 'pg_catalog.pg_proc'::regclass
 WHERE o.relkind = 'm' AND o.relispopulated
   AND NOT pg_catalog.has_function_privilege(o.relowner, r.refobjid, 'EXECUTE')
UNION ALL
SELECT o.oid, NULL, format('%s%s is in schema %s, in which %s may not create it', o.word, o.name, quote_ident(o.nspname),
                     current_user),
       format('GRANT CREATE ON SCHEMA %I TO %I', o.nspname, current_user), true
  FROM object o
 WHERE o.relkind <> 'r'  -- of the tables' own schemas, target_privileges.sql says so
   AND NOT pg_catalog.has_schema_privilege(o.relnamespace, 'CREATE')
UNION ALL
SELECT o.oid, NULL, format('%s%s belongs to %s, who may not create it in schema %s', o.word, o.name, o.owner,
                     quote_ident(o.nspname)),
       format('GRANT CREATE ON SCHEMA %I TO %I', o.nspname, o.owner), true
  FROM object o
 WHERE o.relowner <> (SELECT u.oid FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
   -- a superuser changes an owner without that
   AND NOT (SELECT u.rolsuper FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
   AND NOT pg_catalog.has_schema_privilege(o.relowner, o.relnamespace, 'CREATE')
UNION ALL
-- the publish moves extended statistics with their table, each to its own schema
SELECT o.oid, NULL, format('statistics %I.%I on %s belong to %s, of which %s is no member', sn.nspname, x.stxname, o.name,
                     pg_catalog.pg_get_userbyid(x.stxowner), current_user),
       format('ALTER STATISTICS %I.%I OWNER TO %I', sn.nspname, x.stxname, current_user), true
  FROM object o
  JOIN pg_catalog.pg_statistic_ext x ON x.stxrelid = o.oid
  JOIN pg_catalog.pg_namespace sn ON sn.oid = x.stxnamespace
 WHERE NOT pg_catalog.pg_has_role(x.stxowner, 'USAGE')
UNION ALL
SELECT DISTINCT o.oid, NULL, format('statistics on %s are in schema %s, in which %s may not create them', o.name,
                              quote_ident(sn.nspname), current_user),
       format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', sn.nspname, current_user), true
  FROM object o
  JOIN pg_catalog.pg_statistic_ext x ON x.stxrelid = o.oid AND x.stxnamespace <> o.relnamespace
  JOIN pg_catalog.pg_namespace sn ON sn.oid = x.stxnamespace
 WHERE NOT (pg_catalog.has_schema_privilege(sn.oid, 'USAGE') AND pg_catalog.has_schema_privilege(sn.oid, 'CREATE'))
UNION ALL
-- new tables, views and indexes are made where the old ones are
SELECT DISTINCT o.oid, NULL, format('%s%s or an index of it is in tablespace %s, in which %s may not create it', o.word, o.name,
                              quote_ident(t.spcname), current_user),
       format('GRANT CREATE ON TABLESPACE %I TO %I', t.spcname, current_user), true
  FROM object o
 CROSS JOIN LATERAL (SELECT o.oid UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = o.oid)
    AS stored (oid)
  JOIN pg_catalog.pg_class c ON c.oid = stored.oid
  JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
 WHERE NOT pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')
UNION ALL
-- a materialized view is filled as its owner
SELECT DISTINCT o.oid, NULL, format('%s%s is filled as %s, who may not read %s', o.word, o.name, o.owner,
                              r.refobjid::pg_catalog.regclass),
       format('GRANT SELECT ON %s TO %I', r.refobjid::pg_catalog.regclass, o.owner), false
  FROM object o
  JOIN read r ON r.oid = o.oid AND r.refclassid = 'pg_catalog.pg_class'::regclass
 WHERE o.relkind = 'm' AND o.relispopulated
   AND CASE WHEN r.refobjsubid > 0
            THEN NOT pg_catalog.has_column_privilege(o.relowner, r.refobjid, r.refobjsubid::smallint, 'SELECT')
            ELSE NOT pg_catalog.has_any_column_privilege(o.relowner, r.refobjid, 'SELECT') END
 ORDER BY 3;
