-- Writes how long the rows of live tables took to merge, in the transaction that publishes them. Target side; needs the
-- ledger.
-- :'run_id': the run; :'schemas', :'names': the live tables; :'seconds': those of each.
-- Try it:
--   psql -v run_id=tonight -v schemas='{public}' -v names='{orders}' -v seconds='{1.5}' -c BEGIN \
--     -f ledger/record_merges.sql -c ROLLBACK
UPDATE etl.loads l
   SET merge_seconds = u.seconds
  FROM unnest(:'schemas'::text[], :'names'::text[], :'seconds'::float8[]) AS u (schema, name, seconds)
 WHERE l.run_id = :'run_id' AND l.schema_name = u.schema AND l.relation_name = u.name;
