-- Ends the session that is in a transaction, and says whether the transaction has ended. It is a transaction of this
-- run whose connection was lost, so that only its id is known. Target side.
-- :'xid': the transaction's id, 64 bits.
-- Try it (it does end it): psql -v xid=1234 -f end_transaction.sql
SELECT pg_catalog.pg_xact_status(:'xid'::text::pg_catalog.xid8) IS DISTINCT FROM 'in progress' AS ended,
       (SELECT count(pg_catalog.pg_terminate_backend(a.pid))
          FROM pg_catalog.pg_stat_activity a
         WHERE a.backend_xid = :'xid'::text::pg_catalog.xid8::pg_catalog.xid) AS sessions;
