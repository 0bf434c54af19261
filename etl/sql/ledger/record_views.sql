-- Writes what a publish has done with the materialized views on live tables. Target side; needs the ledger.
-- :'run_id': the run; :'schemas', :'names', :'views': the live tables, and for each its views as JSON.
-- Try it:
--   psql -v run_id=tonight -v schemas='{public}' -v names='{orders}' -v views='{null}' -c BEGIN \
--     -f ledger/record_views.sql -c ROLLBACK
UPDATE etl.loads l
   SET views = u.views::jsonb
  FROM unnest(:'schemas'::text[], :'names'::text[], :'views'::text[]) AS u (schema, name, views)
 WHERE l.run_id = :'run_id' AND l.schema_name = u.schema AND l.relation_name = u.name;
