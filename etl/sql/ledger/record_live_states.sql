-- Writes how a publish has left live tables, so that the next load may find them unchanged. Target side; needs the
-- ledger.
-- :'run_id': the run; :'schemas', :'names', :'states': the live tables, and for each its state as JSON.
-- Try it:
--   psql -v run_id=tonight -v schemas='{public}' -v names='{orders}' -v states='{null}' -c BEGIN \
--     -f ledger/record_live_states.sql -c ROLLBACK
UPDATE etl.loads l
   SET live_state = u.state::jsonb
  FROM unnest(:'schemas'::text[], :'names'::text[], :'states'::text[]) AS u (schema, name, state)
 WHERE l.run_id = :'run_id' AND l.schema_name = u.schema AND l.relation_name = u.name;
