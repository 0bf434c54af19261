-- Tries to become the one holder of a run's snapshot, for as long as this session lasts. Target side.
-- Try it: psql -v run_id=tonight -f lock_snapshot.sql
SELECT pg_catalog.pg_try_advisory_lock(
           pg_catalog.hashtextextended('nightly-etl snapshot ' || :'run_id', 0)) AS locked;
