-- Deletes the position of batches in a live table that is dropped: the next batch begins with the first row. Target side;
-- needs the ledger.
-- :'oid': the live table.
-- Try it: psql -v oid=1234 -c BEGIN -f ledger/forget_batches.sql -c ROLLBACK
DELETE FROM etl.watermarks w
 WHERE w.live_oid = :'oid';
