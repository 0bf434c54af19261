-- Writes the snapshot of a run. Target side; needs the ledger.
-- :'run_id': the run; :'snapshot_id', :'at': the snapshot's id, and its time.
-- Try it:
--   psql -v run_id=tonight -v snapshot_id=00000003-0000001B-1 -v at=now -c BEGIN -f ledger/took_snapshot.sql \
--     -c ROLLBACK
UPDATE etl.runs r
   SET snapshot_id = :'snapshot_id', snapshot_at = :'at'
 WHERE r.run_id = :'run_id';
