-- Whether a process holds a run's snapshot: then it has the snapshot's lock. Target side.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f snapshot_held.sql
SELECT NOT pg_catalog.pg_try_advisory_xact_lock_shared(
           pg_catalog.hashtextextended('nightly-etl snapshot ' || :'run_id', 0)) AS held;
