-- What the last load that replaced a live table brought: its shape, and its bytes. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- lacking: the indexes, constraints and extended statistics that it brought, and that the live table has no more
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f ledger/shapes.sql
WITH latest AS (
    SELECT DISTINCT ON (l.schema_name, l.relation_name) l.schema_name, l.relation_name, l.shape, l.bytes, l.carried
      FROM etl.loads l
     WHERE l.status = 'published' AND l.shape IS NOT NULL
       AND (l.schema_name, l.relation_name) IN
           (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
     ORDER BY l.schema_name, l.relation_name, l.published_at DESC
)
SELECT l.schema_name AS schema, l.relation_name AS name, l.shape, coalesce(l.bytes, 0) AS bytes,
       ARRAY(SELECT b.name FROM unnest(l.carried) AS b (name)
              WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                                 WHERE i.indrelid = c.oid AND x.relname = b.name)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint x WHERE x.conrelid = c.oid AND x.conname = b.name)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext x WHERE x.stxrelid = c.oid AND x.stxname = b.name)
              ORDER BY b.name) AS lacking
  FROM latest l
  JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema_name
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.relation_name;
