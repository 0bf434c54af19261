-- The attachments of live tables and views, as the statements that reattach them to the one that takes its place under
-- the same name. Target side. Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments.sql
--
-- role:    the role that has to execute the statement (a grant's grantor), or NULL
-- columns: the table's columns that it uses, index: the index; without them it makes no sense
-- what:    what it is, where dropping the column alone would be refused for it
-- is_comment: a comment; the new table's own, from the source, goes before it
WITH RECURSIVE object AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS word
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
), attribute AS (
    SELECT a.*, o.full_name, o.word, o.relowner, o.relkind
      FROM object o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
), privilege AS (
    -- privileges of the table (attname NULL) and of its columns
    SELECT o.oid, o.full_name, o.relowner, NULL::name AS attname, x.*
      FROM object o CROSS JOIN pg_catalog.aclexplode(o.relacl) x
    UNION ALL
    SELECT a.attrelid, a.full_name, a.relowner, a.attname, x.*
      FROM attribute a CROSS JOIN pg_catalog.aclexplode(a.attacl) x
), granted (oid, role, privilege_type, depth) AS (
    -- how far from the owner a role's grant option is: whoever got it must have it before granting it on
    SELECT o.oid, o.relowner, NULL::text, 0 FROM object o
    UNION
    SELECT p.oid, p.grantee, p.privilege_type, g.depth + 1
      FROM granted g
      JOIN privilege p ON p.oid = g.oid AND p.grantor = g.role AND p.is_grantable
       AND p.privilege_type = coalesce(g.privilege_type, p.privilege_type)
     WHERE g.depth < 100
), statement (position, oid, role, column_name, classid, objid, is_comment, statement) AS (
    SELECT 1, o.oid, NULL::name, NULL::name, NULL::regclass, NULL::oid, false,
           format('ALTER %s %s OWNER TO %I', o.word, o.full_name, pg_catalog.pg_get_userbyid(o.relowner))
      FROM object o WHERE pg_catalog.pg_get_userbyid(o.relowner) <> current_user  -- who made the new one
    UNION ALL
    -- an ACL that is not NULL lists the owner's own privileges too, as far as they were not revoked
    SELECT 2, o.oid, NULL, NULL, NULL, NULL, false,
           format('REVOKE ALL ON %s FROM %I', o.full_name, pg_catalog.pg_get_userbyid(o.relowner))
      FROM object o WHERE o.relacl IS NOT NULL
    UNION ALL
    SELECT 3 + (SELECT coalesce(min(g.depth), 0) / 100.0 FROM granted g
                 WHERE g.oid = p.oid AND g.role = p.grantor
                   AND coalesce(g.privilege_type, p.privilege_type) = p.privilege_type), p.oid,
           CASE WHEN p.grantor <> p.relowner THEN pg_catalog.pg_get_userbyid(p.grantor) END, p.attname, NULL, NULL, false,
           format('GRANT %s%s ON %s TO %s%s', p.privilege_type, ' (' || quote_ident(p.attname) || ')', p.full_name,
                  CASE WHEN p.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(p.grantee)) END,
                  CASE WHEN p.is_grantable THEN ' WITH GRANT OPTION' END)
      FROM privilege p
    UNION ALL
    SELECT 5, o.oid, NULL, NULL, NULL, NULL, true,
           format('COMMENT ON %s %s IS %L', o.word, o.full_name, pg_catalog.obj_description(o.oid, 'pg_class'))
      FROM object o WHERE pg_catalog.obj_description(o.oid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT 5, a.attrelid, NULL, a.attname, NULL, NULL, true,
           format('COMMENT ON COLUMN %s.%I IS %L', a.full_name, a.attname,
                  pg_catalog.col_description(a.attrelid, a.attnum))
      FROM attribute a WHERE pg_catalog.col_description(a.attrelid, a.attnum) IS NOT NULL
    UNION ALL
    SELECT 6, a.attrelid, NULL, a.attname, NULL, NULL, false,
           format('ALTER %s %s ALTER COLUMN %I SET DEFAULT %s', a.word, a.full_name, a.attname,
                  pg_catalog.pg_get_expr(d.adbin, d.adrelid))
      FROM attribute a
      JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attgenerated = ''
    UNION ALL
    SELECT 6, a.attrelid, NULL, a.attname, NULL, NULL, false,
           format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, q.relname, a.full_name, a.attname)
      FROM attribute a
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid
       AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a'
      JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
      JOIN pg_catalog.pg_namespace n ON n.oid = q.relnamespace
    UNION ALL
    SELECT 7, o.oid, NULL, NULL, NULL, NULL, false, format('ALTER TABLE %s %s ROW LEVEL SECURITY', o.full_name, word.word)
      FROM object o
     CROSS JOIN LATERAL (VALUES (o.relrowsecurity, 'ENABLE'), (o.relforcerowsecurity, 'FORCE')) AS word (wanted, word)
     WHERE word.wanted
    UNION ALL
    SELECT 8, o.oid, NULL, NULL, 'pg_catalog.pg_policy'::regclass, p.oid, false,
           format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, o.full_name,
                  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                  (SELECT string_agg(CASE WHEN r.r = 0 THEN 'PUBLIC'
                                          ELSE quote_ident(pg_catalog.pg_get_userbyid(r.r)) END, ', ')
                     FROM unnest(p.polroles) AS r (r)),
                  ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
                  ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')')
      FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT 9, o.oid, NULL, NULL, 'pg_catalog.pg_policy'::regclass, p.oid, false,
           format('COMMENT ON POLICY %I ON %s IS %L', p.polname, o.full_name,
                  pg_catalog.obj_description(p.oid, 'pg_policy'))
      FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
     WHERE pg_catalog.obj_description(p.oid, 'pg_policy') IS NOT NULL
    UNION ALL
    SELECT 10, o.oid, NULL, NULL, 'pg_catalog.pg_trigger'::regclass, t.oid, false, pg_catalog.pg_get_triggerdef(t.oid)
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 11, o.oid, NULL, NULL, 'pg_catalog.pg_trigger'::regclass, t.oid, false,
           format('ALTER TABLE %s %s TRIGGER %I', o.full_name,
                  CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                  t.tgname)
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal AND t.tgenabled <> 'O'
    UNION ALL
    SELECT 11, o.oid, NULL, NULL, 'pg_catalog.pg_trigger'::regclass, t.oid, false,
           format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, o.full_name,
                  pg_catalog.obj_description(t.oid, 'pg_trigger'))
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
     WHERE pg_catalog.obj_description(t.oid, 'pg_trigger') IS NOT NULL
    UNION ALL
    SELECT 12, o.oid, NULL, NULL, 'pg_catalog.pg_rewrite'::regclass, r.oid, false, rtrim(pg_catalog.pg_get_ruledef(r.oid), ';')
      FROM object o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT 13, o.oid, NULL, NULL, 'pg_catalog.pg_rewrite'::regclass, r.oid, false,
           format('COMMENT ON RULE %I ON %s IS %L', r.rulename, o.full_name,
                  pg_catalog.obj_description(r.oid, 'pg_rewrite'))
      FROM object o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid AND r.rulename <> '_RETURN'
     WHERE pg_catalog.obj_description(r.oid, 'pg_rewrite') IS NOT NULL
    UNION ALL
    SELECT 13, o.oid, NULL, NULL, 'pg_catalog.pg_rewrite'::regclass, r.oid, false,
           format('ALTER TABLE %s %s RULE %I', o.full_name,
                  CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                  r.rulename)
      FROM object o
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid AND r.rulename <> '_RETURN' AND r.ev_enabled <> 'O'
    UNION ALL
    SELECT 14, o.oid, NULL, NULL, 'pg_catalog.pg_class'::regclass, ic.oid, false,
           format('ALTER TABLE %s REPLICA IDENTITY %s', o.full_name,
                  CASE o.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                       ELSE 'USING INDEX ' || quote_ident(ic.relname) END)
      FROM object o
      LEFT JOIN pg_catalog.pg_index i ON i.indrelid = o.oid AND i.indisreplident
      LEFT JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
     WHERE o.relkind = 'r' AND (o.relreplident IN ('f', 'n') OR (o.relreplident = 'i' AND ic.oid IS NOT NULL))
    UNION ALL
    SELECT 14, o.oid, NULL, NULL, 'pg_catalog.pg_class'::regclass, ic.oid, false, format('ALTER %s %s CLUSTER ON %I', o.word, o.full_name, ic.relname)
      FROM object o
      JOIN pg_catalog.pg_index i ON i.indrelid = o.oid AND i.indisclustered
      JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    UNION ALL
    -- last, because they look at other tables of the publish
    SELECT 16, o.oid, NULL, NULL, 'pg_catalog.pg_constraint'::regclass, k.oid, false,
           format('ALTER TABLE %s ADD CONSTRAINT %I ', o.full_name, k.conname) || pg_catalog.pg_get_constraintdef(k.oid)
      FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid AND k.contype = 'f' AND k.conparentid = 0
    UNION ALL
    SELECT 17, o.oid, NULL, NULL, 'pg_catalog.pg_constraint'::regclass, k.oid, false,
           format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, o.full_name,
                  pg_catalog.obj_description(k.oid, 'pg_constraint'))
      FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid AND k.contype = 'f' AND k.conparentid = 0
     WHERE pg_catalog.obj_description(k.oid, 'pg_constraint') IS NOT NULL
)
SELECT s.oid,
       s.role::text AS role,
       -- the columns of its own table that it uses
       ARRAY(SELECT s.column_name::text WHERE s.column_name IS NOT NULL
              UNION
             SELECT a.attname::text
               FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.classid = s.classid AND d.objid = s.objid AND s.classid <> 'pg_catalog.pg_class'::regclass
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = s.oid AND d.refobjsubid > 0
              ORDER BY 1) AS columns,
       (SELECT c.relname::text FROM pg_catalog.pg_class c
         WHERE s.classid = 'pg_catalog.pg_class'::regclass AND c.oid = s.objid) AS index,
       CASE WHEN s.classid NOT IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass) THEN
           pg_catalog.pg_describe_object(s.classid, s.objid, 0) END AS what,
       s.is_comment,
       s.statement
  FROM statement s
 WHERE s.statement IS NOT NULL  -- it was dropped while this was read, as pg_get_...def() look at the catalog as it is
 ORDER BY s.position, s.oid, s.column_name, s.statement;
