-- Writes the status of a run that has ended, with the sums over its loads. Target side; needs the ledger.
-- :'run_id': the run; :'status', :'error', :'kept_until': its new status, its error, and until when its staging tables
-- are kept; :'at': the time; :'replaceable': the statuses that the new one may replace.
-- Try it:
--   psql -v run_id=tonight -v status=stopped -v error='too few rows' -v kept_until=tomorrow -v at=now \
--     -v replaceable='{running}' -c BEGIN -f ledger/close_run.sql -c ROLLBACK
UPDATE etl.runs r
   SET status = :'status', finished_at = :'at', error = :'error', kept_until = :'kept_until',
       (tables, rows, bytes) = (SELECT count(*), sum(l.rows), sum(l.bytes) FROM etl.loads l WHERE l.run_id = r.run_id)
 WHERE r.run_id = :'run_id' AND r.status = ANY (:'replaceable'::text[]);
