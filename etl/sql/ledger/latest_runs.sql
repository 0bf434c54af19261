-- The newest runs, the newest first. Target side; needs the ledger.
-- :'status': of this status alone, empty for any; :'job': of this job alone, empty for any; :'most': the number of runs.
-- Try it: psql -v status=published -v job= -v most=5 -f ledger/latest_runs.sql
SELECT r.run_id, r.status, r.started_at, r.finished_at, r.snapshot_id, r.snapshot_at, r.tables, r.rows, r.bytes,
       r.error, r.publish, r.kept_until, r.passed_by, r.passed_reason, r.passed_error,
       r.publish_way, r.job
  FROM etl.runs r
 WHERE :'status' IN ('', r.status) AND :'job' IN ('', r.job)
 ORDER BY r.started_at DESC, r.run_id
 LIMIT :'most'::int;
