-- The sessions that hold a lock on relations. Target side.
-- :'schemas', :'names': the relations.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f holders.sql
SELECT n.nspname::text AS schema, c.relname::text AS name,
       string_agg(DISTINCT concat('pid ', a.pid, ' (', coalesce(a.usename::text, 'a process of the server'), ', ',
                                  coalesce(nullif(a.application_name, ''), 'no application name'), ')'), ' and ') AS who
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_catalog.pg_locks l ON l.relation = c.oid AND l.granted
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.pid <> pg_catalog.pg_backend_pid()
 GROUP BY n.nspname, c.relname;
