-- The session that holds a table's lock; its application name contains the run's id. Target side.
-- :'schema', :'name': the staging table.
-- Try it: psql -v schema=etl_staging_public -v name=orders -f lock_holder.sql
SELECT a.pid, a.application_name
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 CROSS JOIN LATERAL (SELECT pg_catalog.hashtextextended(
                                format('nightly-etl table %I.%I', :'schema'::text, :'name'::text), 0)) AS h (key)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
   AND l.classid::bigint = (h.key >> 32) & 4294967295
   AND l.objid::bigint = h.key & 4294967295;
