-- How far a run is: its status, and how many of its tables are not staged. Target side.
-- Try it: psql -v run_id=tonight -f progress.sql
SELECT r.status,
       r.error,
       r.snapshot_id,
       (SELECT count(*) FROM etl.loads l WHERE l.run_id = r.run_id AND l.status NOT IN ('staged', 'published')) AS unstaged
  FROM etl.runs r
 WHERE r.run_id = :'run_id';
