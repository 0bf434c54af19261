-- Writes that this session's user lets a stopped run pass. Target side; needs the ledger.
-- :'run_id': the run; :'reason': the user's reason.
-- Try it: psql -v run_id=tonight -v reason='it is right' -c BEGIN -f ledger/let_pass.sql -c ROLLBACK
UPDATE etl.runs r
   SET passed_by = session_user, passed_reason = :'reason', passed_error = r.error
 WHERE r.run_id = :'run_id' AND r.status = 'stopped';
