-- The last id that batches have copied of a table. Target side; needs the ledger.
-- :'table_name': the source's table.
-- Try it: psql -v table_name=public.orders -f ledger/watermark.sql
SELECT w.last_id
  FROM etl.watermarks w
 WHERE w.table_name = :'table_name';
