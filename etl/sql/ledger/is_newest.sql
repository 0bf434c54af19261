-- Whether a run is its job's newest night: no later run of the job had at least half of its tables, or ended after it
-- without knowing any (one that failed at once while this one went on is no night). Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/is_newest.sql
WITH own AS (
    SELECT r.run_id, r.started_at, r.job, coalesce(r.finished_at, 'infinity') AS ended_at,
           (SELECT count(*) FROM etl.loads l WHERE l.run_id = r.run_id) AS loads
      FROM etl.runs r
     WHERE r.run_id = :'run_id'
)
SELECT NOT EXISTS (
       SELECT FROM own
         JOIN etl.runs r ON r.started_at > own.started_at AND r.job IS NOT DISTINCT FROM own.job
        CROSS JOIN LATERAL (
              SELECT count(*) AS loads, count(o.table_name) AS shared
                FROM etl.loads l
                LEFT JOIN etl.loads o ON o.run_id = own.run_id AND o.table_name = l.table_name
               WHERE l.run_id = r.run_id) AS n
        WHERE n.loads > 0 AND 2 * n.shared >= own.loads
           OR n.loads = 0 AND coalesce(r.finished_at, 'infinity') > own.ended_at) AS is_newest;
