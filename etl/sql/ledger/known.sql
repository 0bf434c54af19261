-- All live tables in the ledger, of all runs. Target side; needs the ledger.
-- Try it: psql -f ledger/known.sql
SELECT DISTINCT l.schema_name AS schema, l.relation_name AS name
  FROM etl.loads l
 WHERE l.schema_name IS NOT NULL;
