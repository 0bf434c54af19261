-- The staged loads of a run that have only the changes of a table's rows, or none. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/partial.sql
SELECT l.schema_name AS schema, l.relation_name AS name, l.load, l.rows, l.base_run
  FROM etl.loads l
 WHERE l.run_id = :'run_id' AND l.status = 'staged' AND l.load IN ('delta', 'unchanged');
