-- The columns and indexes that the ledger has, whichever version made it. Target side.
SELECT c.relname::text AS relation, a.attname::text AS part
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = 'etl' AND c.relkind = 'r'
UNION ALL
SELECT c.relname::text, x.relname::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
 WHERE n.nspname = 'etl' AND c.relkind = 'r';
