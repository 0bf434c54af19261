-- The server that answers (pid, address, port, started), and what it says of one of its sessions: whether it exists,
-- and what it waits for. Both sides.
-- :'pid': the session's process, 0 for none. state is NULL where this role may not see it.
-- Try it: psql -v pid=4711 -f session.sql
SELECT pg_catalog.pg_backend_pid() AS pid,
       pg_catalog.host(pg_catalog.inet_server_addr()) AS address,
       pg_catalog.inet_server_port() AS port,
       pg_catalog.pg_postmaster_start_time() AS started,
       activity.pid IS NOT NULL AS is_there,
       activity.state,
       activity.wait_event_type
  FROM (VALUES (:'pid'::pg_catalog.int4)) AS asked (pid)
  LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid OPERATOR(pg_catalog.=) asked.pid;
