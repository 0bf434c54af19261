-- Sessions and prepared transactions that hold, or wait for, a lock on a live table: the publish has to wait for them.
-- A prepared transaction has no session, but it holds the lock of its own transaction id. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f blockers.sql
SELECT DISTINCT l.pid, p.gid AS prepared, coalesce(a.usename, p.owner)::text AS "user",
       a.application_name AS application, coalesce(a.query_start, p.prepared) AS query_start,
       n.nspname || '.' || c.relname AS "table"
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_locks x
         ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
        AND x.virtualtransaction = l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
 WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND (a.pid IS NOT NULL OR p.gid IS NOT NULL)
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
 ORDER BY query_start
 LIMIT 5;
