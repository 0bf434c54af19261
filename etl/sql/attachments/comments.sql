-- The comments on a table or view, its columns, and its attachments that can have one. Target side.
-- :'oids': the live tables and views. Columns: see ../attachments.sql.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f attachments/comments.sql
--
-- The reporting side's own indexes, constraints and extended statistics bring their comments (../extras.sql); those that come
-- from the source get this one if the source has none. The line that says as of when a table is, which an earlier publish
-- has written (model/as_of.py), is not put back.
WITH object AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS full_name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS word
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
), commented (oid, column_name, classid, objid, target, comment) AS (
    SELECT o.oid, NULL::name, NULL::regclass, NULL::oid,
           o.word || ' ' || o.full_name,
           CASE WHEN o.word = 'TABLE' THEN nullif(pg_catalog.regexp_replace(
                    pg_catalog.obj_description(o.oid, 'pg_class'),
                    '(^|\n\n)As of [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC \(nightly-etl\)$', ''), '')
                ELSE pg_catalog.obj_description(o.oid, 'pg_class') END
      FROM object o
    UNION ALL
    SELECT o.oid, a.attname, NULL::regclass, NULL::oid,
           format('COLUMN %s.%I', o.full_name, a.attname), pg_catalog.col_description(o.oid, a.attnum)
      FROM object o
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_policy'::regclass, p.oid,
           format('POLICY %I ON %s', p.polname, o.full_name), pg_catalog.obj_description(p.oid, 'pg_policy')
      FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_trigger'::regclass, t.oid,
           format('TRIGGER %I ON %s', t.tgname, o.full_name), pg_catalog.obj_description(t.oid, 'pg_trigger')
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_rewrite'::regclass, r.oid,
           format('RULE %I ON %s', r.rulename, o.full_name), pg_catalog.obj_description(r.oid, 'pg_rewrite')
      FROM object o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_constraint'::regclass, k.oid,
           format('CONSTRAINT %I ON %s', k.conname, o.full_name), pg_catalog.obj_description(k.oid, 'pg_constraint')
      FROM object o
      JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
       AND (k.contype IN ('p', 'u', 'x', 'c') OR (k.contype = 'f' AND k.conparentid = 0))
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_class'::regclass, c.oid,
           format('INDEX %I.%I', n.nspname, c.relname), pg_catalog.obj_description(c.oid, 'pg_class')
      FROM object o
      JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT o.oid, NULL::name, 'pg_catalog.pg_statistic_ext'::regclass, s.oid,
           format('STATISTICS %I.%I', n.nspname, s.stxname), pg_catalog.obj_description(s.oid, 'pg_statistic_ext')
      FROM object o
      JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = o.oid
      JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
)
SELECT c.oid,
       0 AS turn,
       NULL::text AS role,
       c.column_name,
       c.classid,
       c.objid,
       format('COMMENT ON %s IS %L', c.target, c.comment) AS statement
  FROM commented c
 WHERE c.comment IS NOT NULL;
