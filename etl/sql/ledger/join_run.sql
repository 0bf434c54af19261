-- Writes that a run has begun, if the ledger does not have it yet. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'publish': its ETL_PUBLISH; :'job': its ETL_JOB, empty if it has none.
-- Try it: psql -v run_id=tonight -v at=now -v publish=defer -v job= -c BEGIN -f ledger/join_run.sql -c ROLLBACK
INSERT INTO etl.runs (run_id, status, started_at, publish, job)
VALUES (:'run_id', 'running', :'at', :'publish', nullif(:'job', ''))
    ON CONFLICT (run_id) DO NOTHING;
