-- Writes the last id that batches have copied of a table. Target side; needs the ledger.
-- :'table_name': the source's table; :'last_id': the id; :'masked': the columns that were masked; :'at': the time.
-- Try it:
--   psql -v table_name=public.orders -v last_id=7 -v masked='{}' -v at=now -c BEGIN -f ledger/move_watermark.sql \
--     -c ROLLBACK
INSERT INTO etl.watermarks (table_name, last_id, updated_at, masked)
VALUES (:'table_name', :'last_id', :'at', :'masked')
    ON CONFLICT (table_name) DO UPDATE
   SET last_id = excluded.last_id, updated_at = excluded.updated_at, masked = excluded.masked;
