-- The state of a run, whose row it locks, so that the run cannot end before the transaction does. Target side; needs
-- the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -c BEGIN -f ledger/run_state.sql -c ROLLBACK
SELECT r.status, r.error, r.snapshot_id, r.passed_by
  FROM etl.runs r
 WHERE r.run_id = :'run_id'
   FOR SHARE;
