-- What in this database may matter to a run, and need not. Target side.
-- Try it: psql -f notes.sql
SELECT format('publication %s is FOR ALL TABLES: its subscribers get the schemas etl and etl_staging_..., too, and no rows of'
              ' a swap; publish the tables by name, and in place', p.pubname) AS note
  FROM pg_catalog.pg_publication p
 WHERE p.puballtables
UNION ALL
-- whether its function raises an error only calling it would tell
SELECT format('event trigger %s calls %s at %s%s: if that rejects CREATE, ALTER or DROP by %s, no run can be published;'
              ' disable it, or let it except that role', e.evtname, e.evtfoid::pg_catalog.regprocedure, e.evtevent,
              ' (' || array_to_string(e.evttags, ', ') || ')', current_user)
  FROM pg_catalog.pg_event_trigger e
 WHERE e.evtenabled IN ('O', 'A') AND e.evtevent IN ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
 ORDER BY 1;
