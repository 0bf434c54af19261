-- Writes that a live table is retired, into the row of its last published load: a later load has a row of its own, and so
-- takes the table back. Target side; needs the ledger.
-- :'oid', :'schema', :'name': the live table; :'at': the time.
-- Try it: psql -v oid=1234 -v schema=public -v name=orders -v at=now -c BEGIN -f ledger/retire_load.sql -c ROLLBACK
UPDATE etl.loads l
   SET retired_at = :'at'
 WHERE (l.run_id, l.table_name) IN
       (SELECT p.run_id, p.table_name
          FROM etl.loads p
         WHERE p.status = 'published'
           AND (p.live_oid = :'oid' OR (p.schema_name = :'schema' AND p.relation_name = :'name'))
         ORDER BY p.live_oid = :'oid' DESC NULLS LAST, p.published_at DESC
         LIMIT 1);
