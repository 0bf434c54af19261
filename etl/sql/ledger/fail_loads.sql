-- Writes that loads of a run have failed, and whether they were given up because the run had ended. Target side; needs
-- the ledger.
-- :'run_id': the run; :'error': the error; :'statuses': only loads of these; :'schemas', :'names': the live tables.
-- Try it:
--   psql -v run_id=tonight -v error='disk full' -v statuses='{loading,staged}' -v schemas='{public}' \
--     -v names='{orders}' -c BEGIN -f ledger/fail_loads.sql -c ROLLBACK
UPDATE etl.loads l
   SET status = 'failed', error = :'error',
       given_up = (SELECT r.status <> 'running' FROM etl.runs r WHERE r.run_id = l.run_id)
 WHERE l.run_id = :'run_id' AND l.status = ANY (:'statuses'::text[])
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name));
