-- The tables that runs which were stopped have staged. Target side; needs the ledger.
-- Try it: psql -f ledger/kept.sql
SELECT r.run_id, r.kept_until, l.schema_name AS schema, l.relation_name AS name
  FROM etl.runs r
  JOIN etl.loads l ON l.run_id = r.run_id
 WHERE l.status = 'staged' AND r.status = 'stopped'
 ORDER BY r.run_id, l.table_name;
