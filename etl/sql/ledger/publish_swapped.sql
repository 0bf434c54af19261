-- Writes that loads are published, whose staging tables have replaced the live tables. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'schemas', :'names': the live tables.
-- Try it:
--   psql -v run_id=tonight -v at=now -v schemas='{public}' -v names='{orders}' -c BEGIN \
--     -f ledger/publish_swapped.sql -c ROLLBACK
--
-- A publish is later than those before it, also after the runner's clock was ahead and has been put right: the last
-- published load of a table is found by this time.
UPDATE etl.loads l
   SET status = 'published', live_oid = l.staging_oid,
       published_at = greatest(:'at'::timestamptz,
                               (SELECT max(o.published_at) + interval '1 microsecond'
                                  FROM etl.loads o
                                 WHERE o.schema_name = l.schema_name AND o.relation_name = l.relation_name))
 WHERE l.run_id = :'run_id'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name));
