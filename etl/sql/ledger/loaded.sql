-- The source's tables that the ledger has loads of. Target side; needs the ledger.
-- Try it: psql -f ledger/loaded.sql
SELECT DISTINCT l.table_name
  FROM etl.loads l
 ORDER BY l.table_name;
