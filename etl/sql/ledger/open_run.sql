-- Writes that a run has begun, or that a new attempt at it has. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'publish': its ETL_PUBLISH; :'job': its ETL_JOB, empty if it has none.
--
-- A new attempt begins now: with the same ETL_RUN_ID every night, the night after one that has failed would otherwise
-- have begun with it, and taken a day; and a failure of tonight would be older than what readers see.
--
-- Try it: psql -v run_id=tonight -v at=now -v publish=run -v job= -c BEGIN -f ledger/open_run.sql -c ROLLBACK
INSERT INTO etl.runs (run_id, status, started_at, publish, job)
VALUES (:'run_id', 'running', :'at', :'publish', nullif(:'job', ''))
    ON CONFLICT (run_id) DO UPDATE
   SET status = excluded.status, started_at = excluded.started_at, publish = excluded.publish, job = excluded.job,
       finished_at = NULL, error = NULL, kept_until = NULL, passed_by = NULL, passed_reason = NULL, passed_error = NULL, publish_way = NULL;
