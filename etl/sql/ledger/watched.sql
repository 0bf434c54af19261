-- How far the loads of a run are, in the order in which they began. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/watched.sql
SELECT l.table_name, l.shard, l.status, l.started_at, l.finished_at, l.rows, l.bytes, l.load, l.step, l.rows_so_far,
       l.bytes_so_far, l.bytes_expected, l.told_at, l.rows_changed, l.error, l.given_up
  FROM etl.loads l
 WHERE l.run_id = :'run_id'
 ORDER BY l.started_at, l.table_name;
