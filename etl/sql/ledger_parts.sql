-- The columns and indexes that the ledger has, whichever version created it. Rows with an owner are something else: an
-- object with a name of the ledger's that is untrusted, because it belongs neither to this session's role nor to a
-- superuser. The row whose relation is 'format' has the comment on etl.runs, which names the ledger's format; that with
-- 'view' has the comment on etl.freshness, with the number of its definition. Target side.
-- Try it: psql -f ledger_parts.sql
SELECT c.relname::text AS relation, a.attname::text AS part, NULL::text AS owner
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = 'etl' AND c.relkind <> 'i'
UNION ALL
SELECT c.relname::text, x.relname::text, NULL
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
 WHERE n.nspname = 'etl' AND c.relkind = 'r'
UNION ALL
SELECT 'format', pg_catalog.obj_description(c.oid, 'pg_class'), NULL
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'etl' AND c.relname = 'runs' AND pg_catalog.obj_description(c.oid, 'pg_class') IS NOT NULL
UNION ALL
SELECT 'view', pg_catalog.obj_description(c.oid, 'pg_class'), NULL
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'etl' AND c.relname = 'freshness' AND c.relkind = 'v'
   AND pg_catalog.obj_description(c.oid, 'pg_class') IS NOT NULL
UNION ALL
SELECT '', w.what, r.rolname::text
  FROM (SELECT 'schema etl' AS what, n.nspowner AS owner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'etl'
         UNION ALL
        SELECT CASE c.relkind WHEN 'v' THEN 'view etl.' ELSE 'table etl.' END || c.relname, c.relowner
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'etl' AND c.relname IN ('runs', 'loads', 'watermarks', 'validations', 'freshness')) AS w
  JOIN pg_catalog.pg_roles r ON r.oid = w.owner
 WHERE NOT r.rolsuper AND r.rolname <> current_user;
