-- The nights before a run, the newest first: the earlier runs of its job that had at least half of its tables, or that had
-- failed before they knew theirs. Target side; needs the ledger.
-- :'run_id': the run; :'most': the number of nights; :'looks': the number of the job's last runs among which they are
-- looked for, so that a ledger of many years takes no longer.
-- Try it: psql -v run_id=tonight -v most=30 -v looks=300 -f ledger/nights_before.sql
WITH own AS (
    SELECT r.run_id, r.started_at, r.job, (SELECT count(*) FROM etl.loads l WHERE l.run_id = r.run_id) AS loads
      FROM etl.runs r
     WHERE r.run_id = :'run_id'
), earlier AS (
    SELECT r.*, own.run_id AS own_id, own.loads AS own_loads
      FROM own
      JOIN etl.runs r ON r.started_at < own.started_at AND r.job IS NOT DISTINCT FROM own.job
                     AND r.run_id <> own.run_id AND r.finished_at IS NOT NULL
     ORDER BY r.started_at DESC
     LIMIT :'looks'::int
), counted AS (
    SELECT e.*, n.loads, n.shared
      FROM earlier e
     CROSS JOIN LATERAL (
           SELECT count(*) AS loads, count(o.table_name) AS shared
             FROM etl.loads l
             LEFT JOIN etl.loads o ON o.run_id = e.own_id AND o.table_name = l.table_name
            WHERE l.run_id = e.run_id) AS n
)
SELECT c.run_id, c.status, c.started_at, c.finished_at, c.snapshot_id, c.snapshot_at, c.tables, c.rows, c.bytes,
       c.error, c.publish, c.kept_until, c.passed_by, c.passed_reason, c.passed_error,
       c.publish_way, c.job
  FROM counted c
 WHERE c.loads = 0 AND c.status <> 'published' OR c.loads > 0 AND 2 * c.shared >= c.own_loads
 ORDER BY c.started_at DESC, c.run_id
 LIMIT :'most'::int;
