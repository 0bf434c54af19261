-- Some runs, the newest first. Target side; needs the ledger.
-- :'run_ids': the runs.
-- Try it: psql -v run_ids='{tonight}' -f ledger/runs_of.sql
SELECT r.run_id, r.status, r.started_at, r.finished_at, r.snapshot_id, r.snapshot_at, r.tables, r.rows, r.bytes,
       r.error, r.publish, r.kept_until, r.passed_by, r.passed_reason, r.passed_error,
       r.publish_way, r.job
  FROM etl.runs r
 WHERE r.run_id = ANY (:'run_ids'::text[])
 ORDER BY r.started_at DESC, r.run_id;
