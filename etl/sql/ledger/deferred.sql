-- The live tables of loads that wait for etl publish, also of runs that were stopped. Target side; needs the ledger.
-- Try it: psql -f ledger/deferred.sql
SELECT l.schema_name AS schema, l.relation_name AS name
  FROM etl.loads l
  JOIN etl.runs r ON r.run_id = l.run_id
 WHERE l.status = 'staged' AND (r.status = 'stopped' OR (r.status = 'running' AND r.publish = 'defer'));
