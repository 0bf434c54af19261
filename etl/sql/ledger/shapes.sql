-- The shapes of live tables, as the last load brought them that replaced the table. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f ledger/shapes.sql
SELECT DISTINCT ON (l.schema_name, l.relation_name) l.schema_name AS schema, l.relation_name AS name, l.shape
  FROM etl.loads l
 WHERE l.status = 'published' AND l.shape IS NOT NULL
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
 ORDER BY l.schema_name, l.relation_name, l.published_at DESC;
