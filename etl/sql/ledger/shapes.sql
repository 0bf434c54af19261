-- What the last load that replaced a live table brought: its shape, and its bytes. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f ledger/shapes.sql
SELECT DISTINCT ON (l.schema_name, l.relation_name)
       l.schema_name AS schema, l.relation_name AS name, l.shape, coalesce(l.bytes, 0) AS bytes
  FROM etl.loads l
 WHERE l.status = 'published' AND l.shape IS NOT NULL
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
 ORDER BY l.schema_name, l.relation_name, l.published_at DESC;
