-- Marks a run as alive for as long as this session lasts; its shards share the lock. Target side.
-- Try it: psql -v run_id=tonight -f lock_run.sql
SELECT pg_catalog.pg_advisory_lock_shared(pg_catalog.hashtextextended('nightly-etl run ' || :'run_id', 0));
