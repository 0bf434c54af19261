-- Writes an error into the row of a run, whose status stays as it is. Target side; needs the ledger.
-- :'run_id': the run; :'error': the error.
-- Try it: psql -v run_id=tonight -v error='disk full' -c BEGIN -f ledger/note.sql -c ROLLBACK
UPDATE etl.runs r
   SET error = :'error'
 WHERE r.run_id = :'run_id';
