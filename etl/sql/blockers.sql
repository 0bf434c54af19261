-- The sessions and prepared transactions for which a publish of live tables has to wait: they hold, or wait for, a lock
-- that conflicts with one of its locks; they have changed a row of the catalog that the publish changes, too; or they
-- have temporary objects that depend on the tables. A prepared transaction has no session, but it holds the lock of its
-- own transaction id. A parallel worker counts as the session that it works for. Target side.
-- :'schemas', :'names': the live tables and views; :'readers': whether it waits for readers, too, as a swap does. A
-- merge in place waits for writers only, and temporary objects do not concern it.
-- Try it: python -m etl.sessions.query blockers | psql -v schemas='{public}' -v names='{orders}' -v readers=true
--
-- Each file of blockers/ is a CTE of this query, and runs by itself, too. The others take the oids of objects.sql.
SELECT a.pid, p.gid AS prepared, coalesce(a.usename, p.owner)::text AS "user", a.application_name AS application,
       coalesce(a.query_start, p.prepared) AS query_start, bool_or(l.granted) AS is_granted, l.what,
       NULL AS temporary_schema, false AS is_left, a.backend_type AS process,
       coalesce(a.usename IS NULL AND a.query LIKE '%(to prevent wraparound)', false) AS prevents_wraparound
  FROM locks l
  LEFT JOIN pg_catalog.pg_stat_activity w ON w.pid = l.pid
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = coalesce(w.leader_pid, w.pid)
  LEFT JOIN pg_catalog.pg_locks x
         ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
        AND x.virtualtransaction = l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
 WHERE a.pid IS NOT NULL OR p.gid IS NOT NULL
 GROUP BY a.pid, p.gid, p.owner, p.prepared, a.usename, a.application_name, a.query_start, a.backend_type, a.query, l.what
UNION ALL
SELECT t.pid, NULL, a.usename, a.application_name, a.query_start, true, t.what, t.schema, t.is_left,
       a.backend_type, false
  FROM temporary t
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = t.pid
 WHERE :'readers'::boolean
 ORDER BY query_start, pid, what;
