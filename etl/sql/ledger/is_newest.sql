-- Whether a run is its job's newest night: no later run of the job had at least half of its tables, or had failed before it
-- knew its own. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/is_newest.sql
WITH own AS (
    SELECT r.started_at, r.job, ARRAY(SELECT l.table_name FROM etl.loads l WHERE l.run_id = r.run_id) AS names
      FROM etl.runs r
     WHERE r.run_id = :'run_id'
)
SELECT NOT EXISTS (
       SELECT FROM own
         JOIN etl.runs r ON r.started_at > own.started_at AND r.job IS NOT DISTINCT FROM own.job
        CROSS JOIN LATERAL (
              SELECT count(*) AS loads, count(*) FILTER (WHERE l.table_name = ANY (own.names)) AS shared
                FROM etl.loads l
               WHERE l.run_id = r.run_id) AS n
        WHERE n.loads = 0 OR 2 * n.shared >= cardinality(own.names)) AS is_newest;
