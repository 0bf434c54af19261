-- The last id that batches have copied of a table, and the live table to which. Target side; needs the ledger.
-- :'table_name': the source's table.
-- Try it: psql -v table_name=public.orders -f ledger/watermark.sql
SELECT w.last_id, w.schema_name, w.relation_name
  FROM etl.watermarks w
 WHERE w.table_name = :'table_name';
