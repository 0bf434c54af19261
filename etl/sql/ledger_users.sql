-- The sessions that use tables of the ledger within a transaction, and so keep its columns from being added; the one whose
-- transaction is the oldest first. Target side.
-- Try it: psql -f ledger_users.sql
SELECT concat('pid ', a.pid, ' (', a.usename, ', ', coalesce(nullif(a.application_name, ''), 'no application name'), ')') AS who
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid <> pg_catalog.pg_backend_pid()
   AND a.pid IN (
       SELECT l.pid
         FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind = 'r'
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'etl' AND l.granted
          AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
 ORDER BY a.xact_start, a.pid;
