-- The event triggers that would fire for this session's statements, and the commands at which they fire. Target side.
-- Try it: psql -f event_triggers.sql
--
-- tags: NULL for all commands
SELECT e.evtname::text AS name, e.evttags AS tags
  FROM pg_catalog.pg_event_trigger e
 WHERE e.evtenabled IN ('O', 'A') AND e.evtevent IN ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
 ORDER BY 1;
