-- Gives a published run another id, which is as long as ETL_RUN_ID may be. Target side; needs the ledger.
-- :'run_id': the run.
--
-- The same ETL_RUN_ID every night would otherwise overwrite the last publish, with which the gate compares the next
-- one, and in which the masks and indexes of the live tables are recorded.
--
-- Try it: psql -v run_id=tonight -c BEGIN -f ledger/set_aside.sql -c ROLLBACK
WITH earlier AS (
    UPDATE etl.runs
       SET run_id = pg_catalog.concat(pg_catalog.substr(run_id, 1, 70), '@', pg_catalog.to_char(
               coalesce(finished_at, started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
     WHERE run_id = :'run_id' AND status = 'published'
    RETURNING run_id
), moved AS (
    UPDATE etl.loads l SET run_id = e.run_id FROM earlier e WHERE l.run_id = :'run_id'
)
UPDATE etl.validations v SET run_id = e.run_id FROM earlier e WHERE v.run_id = :'run_id';
