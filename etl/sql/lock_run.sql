-- Takes the lock of a run until this session ends, which marks the run as alive. The shards of a run share the lock.
-- Target side.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f lock_run.sql
SELECT pg_catalog.pg_advisory_lock_shared(pg_catalog.hashtextextended('nightly-etl run ' || :'run_id', 0));
