-- Writes that the staging tables of a stopped run are kept no longer. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -c BEGIN -f ledger/forget_kept.sql -c ROLLBACK
UPDATE etl.runs r
   SET kept_until = NULL
 WHERE r.run_id = :'run_id';
