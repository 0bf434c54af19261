-- Whether a run is its job's newest night: no later run of the job had at least half of its tables, or ended after it
-- without knowing any (one that failed at once while this one went on is no night). Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/is_newest.sql
WITH names AS MATERIALIZED (
    SELECT l.table_name FROM etl.loads l WHERE l.run_id = :'run_id'
), later AS (
    SELECT r.run_id, coalesce(r.finished_at, 'infinity') > coalesce(own.finished_at, 'infinity') AS ended_later
      FROM etl.runs own
      JOIN etl.runs r ON r.started_at > own.started_at AND r.job IS NOT DISTINCT FROM own.job
     WHERE own.run_id = :'run_id'
), counted AS (
    SELECT l.run_id, count(n.table_name) AS shared
      FROM etl.loads l
      LEFT JOIN names n USING (table_name)
     WHERE l.run_id = ANY (ARRAY(SELECT r.run_id FROM later r))
     GROUP BY l.run_id
)
SELECT NOT EXISTS (
       SELECT FROM later r
         LEFT JOIN counted c USING (run_id)
        WHERE CASE WHEN c.run_id IS NULL THEN r.ended_later
                   ELSE 2 * c.shared >= (SELECT count(*) FROM names) END) AS is_newest;
