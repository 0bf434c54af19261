-- The run that is to be watched: the newest that is running or, if none is, the newest. Target side; needs the ledger.
-- :'job': of this job alone, empty for any.
-- Try it: psql -v job= -f ledger/watched_run.sql
SELECT r.run_id
  FROM etl.runs r
 WHERE :'job' IN ('', r.job)
 ORDER BY r.status <> 'running', r.started_at DESC, r.run_id
 LIMIT 1;
