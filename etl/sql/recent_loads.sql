-- The last published loads of each table, the newest first, with their shard, size and duration. Target side; needs the
-- ledger.
-- :'names': the source's tables; :'most': the number of loads of each; :'before': the run that does not count. If it has a
-- load of the table, loads into another live table do not count either: they may be of another job's table of this name.
-- seconds: null, too, if the clock went back while the load went on.
-- Try it: psql -v names='{public.orders}' -v most=10 -v before=tonight -f recent_loads.sql
SELECT t.name AS table_name, l.shard, l.rows, l.bytes,
       CASE WHEN l.finished_at >= l.started_at
            THEN extract(epoch FROM l.finished_at - l.started_at)::float8 END AS seconds
  FROM unnest(:'names'::text[]) AS t (name)
 CROSS JOIN LATERAL (
       SELECT p.shard, p.rows, p.bytes, p.started_at, p.finished_at, p.published_at
         FROM etl.loads p
        WHERE p.table_name = t.name AND p.status = 'published' AND p.run_id <> :'before'
          AND NOT EXISTS (SELECT FROM etl.loads b
                           WHERE b.run_id = :'before' AND b.table_name = t.name
                             AND (b.schema_name, b.relation_name) <> (p.schema_name, p.relation_name))
        ORDER BY p.published_at DESC
        LIMIT :'most'::int) AS l
 ORDER BY t.name, l.published_at DESC;
