-- Writes that loads are published, whose staging tables have replaced the live tables. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'schemas', :'names': the live tables.
-- Try it:
--   psql -v run_id=tonight -v at=now -v schemas='{public}' -v names='{orders}' -c BEGIN \
--     -f ledger/publish_swapped.sql -c ROLLBACK
UPDATE etl.loads l
   SET status = 'published', published_at = :'at', live_oid = l.staging_oid
 WHERE l.run_id = :'run_id'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name));
