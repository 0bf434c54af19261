-- The indexes and constraints that came from the source in the last published load that replaced a live table: what the
-- source has dropped since, while rows were merged, is still there, and is no addition of the reporting side. Loads of
-- older versions have no shape; then it is the last one. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f ledger/carried.sql
SELECT DISTINCT ON (l.schema_name, l.relation_name) l.schema_name AS schema, l.relation_name AS name, l.carried
  FROM etl.loads l
 WHERE l.status = 'published'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
 ORDER BY l.schema_name, l.relation_name, l.shape IS NULL, l.published_at DESC;
