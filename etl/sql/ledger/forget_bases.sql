-- Writes that the next load of live tables may not be a delta of published loads. Target side; needs the ledger.
-- :'run_ids': the runs of these loads; :'schemas', :'names': for each, the live table.
-- Try it:
--   psql -v run_ids='{tonight}' -v schemas='{public}' -v names='{orders}' -c BEGIN -f ledger/forget_bases.sql \
--     -c ROLLBACK
UPDATE etl.loads l
   SET live_state = NULL
  FROM unnest(:'run_ids'::text[], :'schemas'::text[], :'names'::text[]) AS u (run_id, schema, name)
 WHERE l.run_id = u.run_id AND l.schema_name = u.schema AND l.relation_name = u.name;
