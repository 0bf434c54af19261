-- Tells whether a process holds a run's snapshot: then its lock is taken. Target side.
-- Try it: psql -v run_id=tonight -f snapshot_held.sql
SELECT NOT pg_catalog.pg_try_advisory_xact_lock_shared(
           pg_catalog.hashtextextended('nightly-etl snapshot ' || :'run_id', 0)) AS held;
