-- The newest transaction that wrote the rows of each load of a run whose rows are not frozen. Target side; needs the
-- ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/newest_xids.sql
SELECT l.schema_name AS schema, l.relation_name AS name, l.newest_xid
  FROM etl.loads l
 WHERE l.run_id = :'run_id' AND l.newest_xid IS NOT NULL;
