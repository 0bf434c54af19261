-- Deletes the loads of a run that no process has begun. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -c BEGIN -f ledger/forget_plan.sql -c ROLLBACK
DELETE FROM etl.loads l
 WHERE l.run_id = :'run_id' AND l.status = 'planned';
