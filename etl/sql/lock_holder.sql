-- The session that holds an advisory lock; its application name contains the run's id. Target side.
-- :'key': the lock's key.
-- Try it: psql -v key=1234 -f lock_holder.sql
SELECT a.pid, a.application_name
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND l.classid::bigint = (:'key'::bigint >> 32) & 4294967295
   AND l.objid::bigint = :'key'::bigint & 4294967295;
