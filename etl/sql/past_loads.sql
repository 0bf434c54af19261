-- What the last published loads of each table tell of the next one. Target side; needs the ledger.
-- :'names': the source's tables; :'most': the number of loads of each that count; :'job': a job, whose runs count, and
-- not those of other jobs; empty if there is none.
-- since_whole is the number of loads since the newest one that copied all rows, or null if none of these did; were_whole
-- says that the last two did, or that no load may be a delta of the last one.
-- A load during which the clock went back tells no seconds.
-- Try it: psql -v names='{public.orders}' -v most=40 -v job= -f past_loads.sql
SELECT t.name AS table_name,
       (array_agg(l.shard ORDER BY l.turn))[1] AS shard,
       (array_agg(l.seconds ORDER BY l.turn) FILTER (WHERE l.is_whole))[1] AS whole_seconds,
       (array_agg(l.seconds ORDER BY l.turn) FILTER (WHERE NOT l.is_whole))[1] AS changes_seconds,
       (min(l.turn) FILTER (WHERE l.is_whole) - 1)::int AS since_whole,
       count(*) > 1 AND bool_and(l.is_whole) FILTER (WHERE l.turn <= 2)
           OR bool_or(NOT l.is_base) FILTER (WHERE l.turn = 1) AS were_whole
  FROM unnest(:'names'::text[]) AS t (name)
 CROSS JOIN LATERAL (
       SELECT p.shard, p.base IS NOT NULL AS is_base, coalesce(p.load, 'full') = 'full' AS is_whole,
              row_number() OVER (ORDER BY p.published_at DESC) AS turn,
              CASE WHEN p.finished_at >= p.started_at
                   THEN extract(epoch FROM p.finished_at - p.started_at)::float8 END AS seconds
         FROM etl.loads p
         LEFT JOIN etl.runs r ON r.run_id = p.run_id
        WHERE p.table_name = t.name AND p.status = 'published'
          AND (:'job' = '' OR r.job IS NULL OR r.job = :'job')
        ORDER BY p.published_at DESC
        LIMIT :'most'::int) AS l
 GROUP BY t.name;
