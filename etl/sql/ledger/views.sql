-- What the last publish of live tables has done with the materialized views on them. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f ledger/views.sql
SELECT DISTINCT ON (l.schema_name, l.relation_name) l.schema_name AS schema, l.relation_name AS name, l.views
  FROM etl.loads l
 WHERE l.status = 'published'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
 ORDER BY l.schema_name, l.relation_name, l.published_at DESC;
