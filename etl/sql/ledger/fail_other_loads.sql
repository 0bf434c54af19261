-- Writes that loads of other runs were given up, because a run loads their live tables now: they have not failed
-- themselves. Target side; needs the ledger.
-- :'run_id': that run; :'error': the error; :'statuses': only loads of these; :'schemas', :'names': the live tables.
-- Try it:
--   psql -v run_id=tonight -v error='disk full' -v statuses='{loading,staged}' -v schemas='{public}' \
--     -v names='{orders}' -c BEGIN -f ledger/fail_other_loads.sql -c ROLLBACK
UPDATE etl.loads l
   SET status = 'failed', error = :'error', given_up = true
 WHERE l.run_id <> :'run_id' AND l.status = ANY (:'statuses'::text[])
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name));
