-- The runs that are running according to the ledger, and whose sessions should hold their locks. Target side; needs the
-- ledger.
-- :'before': a run that has staged nothing since it began before this time counts, too.
--
-- Runs that wait for etl publish, and planned runs that may still begin, are left out: no session holds their locks.
--
-- Try it: psql -v before=yesterday -f ledger/running.sql
SELECT r.run_id
  FROM etl.runs r
 WHERE r.status = 'running'
   AND (r.publish <> 'defer'
        OR EXISTS (SELECT FROM etl.loads l WHERE l.run_id = r.run_id AND l.status = 'loading')
        OR (r.started_at < :'before'
            AND NOT EXISTS (SELECT FROM etl.loads l WHERE l.run_id = r.run_id AND l.status = 'staged')));
