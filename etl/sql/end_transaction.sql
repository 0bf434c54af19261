-- Ends the session that is still in a transaction of which only the id is known: ours, of a connection that we have
-- lost; and tells whether it has ended. Target side. Try it (it does end it): psql -v xid=1234 -f end_transaction.sql
SELECT pg_catalog.pg_xact_status(:'xid'::text::pg_catalog.xid8) IS DISTINCT FROM 'in progress' AS ended,
       (SELECT count(pg_catalog.pg_terminate_backend(a.pid))
          FROM pg_catalog.pg_stat_activity a
         WHERE a.backend_xid = :'xid'::text::pg_catalog.xid8::pg_catalog.xid) AS sessions;
