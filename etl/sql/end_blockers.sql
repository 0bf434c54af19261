-- Ends the sessions that hold a lock on live tables, for which the publish has to wait. Target side.
-- :'schemas', :'names': the live tables.
-- Try it (it does end them): psql -v schemas='{public}' -v names='{orders}' -f end_blockers.sql
SELECT a.pid, a.usename::text AS "user", a.application_name AS application, pg_catalog.pg_terminate_backend(a.pid)
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid <> pg_catalog.pg_backend_pid()
   AND a.pid IN (
       SELECT l.pid
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_class c ON c.oid = l.relation
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.locktype = 'relation' AND l.granted
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
          AND (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[])));
