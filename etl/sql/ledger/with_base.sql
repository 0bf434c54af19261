-- The staged loads of a run that may be the base of the next ones. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/with_base.sql
SELECT l.schema_name AS schema, l.relation_name AS name, l.base
  FROM etl.loads l
 WHERE l.run_id = :'run_id' AND l.status = 'staged' AND l.base IS NOT NULL;
