-- A run. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/run.sql
SELECT r.run_id, r.status, r.started_at, r.finished_at, r.snapshot_id, r.snapshot_at, r.tables, r.rows, r.bytes,
       r.error, r.publish, r.kept_until, r.passed_by, r.passed_reason, r.passed_error,
       r.publish_way
  FROM etl.runs r
 WHERE r.run_id = :'run_id';
