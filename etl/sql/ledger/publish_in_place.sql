-- Writes that loads are published, whose rows have replaced those of the live tables. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'schemas', :'names', :'oids': the live tables.
-- Try it:
--   psql -v run_id=tonight -v at=now -v schemas='{public}' -v names='{orders}' -v oids='{1234}' -c BEGIN \
--     -f ledger/publish_in_place.sql -c ROLLBACK
UPDATE etl.loads l
   SET status = 'published', published_at = :'at', live_oid = u.oid, shape = NULL
  FROM unnest(:'schemas'::text[], :'names'::text[], :'oids'::bigint[]) AS u (schema, name, oid)
 WHERE l.run_id = :'run_id' AND l.schema_name = u.schema AND l.relation_name = u.name;
