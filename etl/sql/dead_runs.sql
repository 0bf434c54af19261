-- Those of the runs that have no session any more: no session holds the run's lock. Target side.
-- :'run_ids': the runs.
-- Try it: psql -v run_ids='{tonight}' -f dead_runs.sql
SELECT r.run_id
  FROM unnest(:'run_ids'::text[]) AS r (run_id)
 WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('nightly-etl run ' || r.run_id, 0));
