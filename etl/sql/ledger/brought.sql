-- The indexes and constraints that came from the source in the loads of a run. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/brought.sql
SELECT l.schema_name AS schema, l.relation_name AS name, l.carried
  FROM etl.loads l
 WHERE l.run_id = :'run_id';
