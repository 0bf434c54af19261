-- Who holds, or waits for, a lock on a live table that the publish needs. Target side.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f blockers.sql
SELECT DISTINCT a.pid, a.usename::text AS "user", a.application_name AS application, a.query_start,
       n.nspname || '.' || c.relname AS "table"
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_class c ON c.oid = l.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.pid <> pg_catalog.pg_backend_pid()
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
 ORDER BY a.query_start
 LIMIT 5;
