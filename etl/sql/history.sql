-- The history in which this session reads: server, database, timeline, and how far its WAL is. Source side.
-- Try it: psql -f history.sql
--
-- A transaction id names the same transaction only within one history. A crash hands out again those ids whose WAL was
-- not flushed; a promotion, a copy of the storage, and another node have histories of their own.
--
-- timeline: on a primary from the name of the WAL file, because pg_control_checkpoint() lags behind a promotion
-- written:  the end of the WAL that is written into the buffers or, on a standby, replayed
SELECT (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s)::text AS system,
       (SELECT d.oid || ' ' || d.datname FROM pg_catalog.pg_database d WHERE d.datname = current_database()) AS database,
       CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c)::text
            ELSE "left"(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) END AS timeline,
       (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8::text AS started,
       pg_catalog.concat_ws(' ', pg_catalog.inet_server_addr(), pg_catalog.inet_server_port()) AS address,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn() END::text AS written;
