-- Writes that loads are published, whose rows have replaced those of the live tables. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'schemas', :'names', :'oids': the live tables.
-- Try it:
--   psql -v run_id=tonight -v at=now -v schemas='{public}' -v names='{orders}' -v oids='{1234}' -c BEGIN \
--     -f ledger/publish_in_place.sql -c ROLLBACK
--
-- A publish is later than those before it, also after the runner's clock was ahead and has been put right: the last
-- published load of a table is found by this time.
UPDATE etl.loads l
   SET status = 'published', live_oid = u.oid, shape = NULL,
       published_at = greatest(:'at'::timestamptz,
                               (SELECT max(o.published_at) + interval '1 microsecond'
                                  FROM etl.loads o
                                 WHERE o.schema_name = l.schema_name AND o.relation_name = l.relation_name))
  FROM unnest(:'schemas'::text[], :'names'::text[], :'oids'::bigint[]) AS u (schema, name, oid)
 WHERE l.run_id = :'run_id' AND l.schema_name = u.schema AND l.relation_name = u.name;
