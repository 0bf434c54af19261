-- The nights before a run, the newest first: the earlier runs of its job that had at least half of its tables, or that had
-- failed before they knew theirs. Target side; needs the ledger.
-- :'run_id': the run; :'most': the number of nights; :'looks': the number of the job's last runs among which they are
-- looked for, so that a ledger of many years takes no longer.
-- Try it: psql -v run_id=tonight -v most=30 -v looks=300 -f ledger/nights_before.sql
-- Names are joined, and not looked for in an array, which is searched from its beginning for each load.
WITH names AS MATERIALIZED (
    SELECT l.table_name FROM etl.loads l WHERE l.run_id = :'run_id'
), own AS (
    SELECT r.run_id, r.started_at, r.job, (SELECT count(*) FROM names) AS tables
      FROM etl.runs r
     WHERE r.run_id = :'run_id'
), earlier AS (
    SELECT r.*, own.tables AS own_tables
      FROM own
      JOIN etl.runs r ON r.started_at < own.started_at AND r.job IS NOT DISTINCT FROM own.job
                     AND r.run_id <> own.run_id AND r.finished_at IS NOT NULL
     ORDER BY r.started_at DESC
     LIMIT :'looks'::int
), counted AS (
    SELECT l.run_id, count(*) AS loads, count(n.table_name) AS shared
      FROM etl.loads l
      LEFT JOIN names n USING (table_name)
     WHERE l.run_id = ANY (ARRAY(SELECT e.run_id FROM earlier e))
     GROUP BY l.run_id
)
SELECT e.run_id, e.status, e.started_at, e.finished_at, e.snapshot_id, e.snapshot_at, e.tables, e.rows, e.bytes,
       e.error, e.publish, e.kept_until, e.passed_by, e.passed_reason, e.passed_error,
       e.publish_way, e.job
  FROM earlier e
  LEFT JOIN counted c USING (run_id)
 WHERE c.loads IS NULL AND e.status <> 'published' OR 2 * c.shared >= e.own_tables
 ORDER BY e.started_at DESC, e.run_id
 LIMIT :'most'::int;
