-- What the loads of a run's tables were in other runs. Target side; needs the ledger.
-- :'run_id': the run, whose tables count; :'run_ids': the other runs.
-- has_failed: the load itself has failed. It was not given up because of another; older versions wrote the run's error then.
-- A load into another live table does not count: it may be of another job's table of this name. Older versions, which
-- renamed no table, left the live table's name empty.
-- seconds: null, too, if the clock went back while the load went on.
-- Try it: psql -v run_id=tonight -v run_ids='{yesterday}' -f ledger/past_of_tables.sql
SELECT p.run_id, p.table_name, p.status, coalesce(p.load, 'full') AS load, p.rows, p.bytes, p.rows_changed, p.rows_deleted,
       CASE WHEN p.finished_at >= p.started_at
            THEN extract(epoch FROM p.finished_at - p.started_at)::float8 END AS seconds,
       p.status = 'failed' AND NOT coalesce(p.given_up, p.error IS NOT DISTINCT FROM o.error) AS has_failed
  FROM etl.loads t
  JOIN etl.loads p ON p.table_name = t.table_name AND p.run_id = ANY (:'run_ids'::text[])
                  AND ((t.schema_name, t.relation_name) <> (p.schema_name, p.relation_name)) IS NOT TRUE
  JOIN etl.runs o ON o.run_id = p.run_id
 WHERE t.run_id = :'run_id' AND p.status <> 'planned';
