-- How far a run is: its status, and the number of its tables that are not staged yet. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f progress.sql
SELECT r.status,
       r.error,
       r.snapshot_id,
       (SELECT count(*) FROM etl.loads l WHERE l.run_id = r.run_id AND l.status NOT IN ('staged', 'published')) AS unstaged
  FROM etl.runs r
 WHERE r.run_id = :'run_id';
