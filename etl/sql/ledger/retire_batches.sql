-- Writes that a live table is retired that batches have copied. Target side; needs the ledger.
-- :'oid': the live table; :'at': the time.
-- Try it: psql -v oid=1234 -v at=now -c BEGIN -f ledger/retire_batches.sql -c ROLLBACK
UPDATE etl.watermarks w
   SET retired_at = :'at'
 WHERE w.live_oid = :'oid';
