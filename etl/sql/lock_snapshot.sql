-- Tries to take the lock of a run's snapshot until this session ends. Only one process holds a run's snapshot. Target
-- side.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f lock_snapshot.sql
SELECT pg_catalog.pg_try_advisory_lock(
           pg_catalog.hashtextextended('nightly-etl snapshot ' || :'run_id', 0)) AS locked;
