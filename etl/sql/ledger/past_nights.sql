-- The last published loads of the tables of a run, each with its night: from them follows when the run will have
-- finished. Target side; needs the ledger.
-- :'run_id': the run, which does not count, nor do runs of other jobs than its own; :'most': the number of loads of each
-- table.
-- A load or a run during which the clock went back does not count.
-- Try it: psql -v run_id=tonight -v most=5 -f ledger/past_nights.sql
SELECT p.run_id, r.publish_way AS way, r.started_at AS run_started_at, r.finished_at AS run_finished_at,
       t.table_name, p.shard, coalesce(p.load, 'full') AS load, p.started_at, p.finished_at, p.rows_changed,
       p.merge_seconds
  FROM etl.loads t
 CROSS JOIN LATERAL (
       SELECT l.run_id, l.shard, l.load, l.started_at, l.finished_at, l.rows_changed, l.merge_seconds
         FROM etl.loads l
        WHERE l.table_name = t.table_name AND l.status = 'published' AND l.run_id <> :'run_id'
          AND NOT EXISTS (SELECT FROM etl.runs m
                            JOIN etl.runs o ON o.run_id = l.run_id
                           WHERE m.run_id = :'run_id' AND o.job <> m.job)
        ORDER BY l.published_at DESC
        LIMIT :'most'::int) AS p
  JOIN etl.runs r ON r.run_id = p.run_id
 WHERE t.run_id = :'run_id' AND p.finished_at >= p.started_at AND r.finished_at >= r.started_at
 ORDER BY r.started_at DESC, p.run_id, p.started_at;
