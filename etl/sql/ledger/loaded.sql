-- The source's tables that the ledger has loads of. Target side; needs the ledger.
-- :'job': a job, whose runs count, and not those of other jobs; empty if there is none.
-- Try it: psql -v job= -f ledger/loaded.sql
SELECT DISTINCT l.table_name
  FROM etl.loads l
  LEFT JOIN etl.runs r ON r.run_id = l.run_id
 WHERE :'job' = '' OR r.job IS NULL OR r.job = :'job'
 ORDER BY l.table_name;
