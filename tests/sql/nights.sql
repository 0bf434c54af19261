-- Nights that no run has made: rows of the ledger, as runs of so many tables would have written them. Target side; needs
-- the ledger. The figures depend on the number of a table and of a night alone, so that a page of them is always the same.
-- :tables, :nights; :shards (0: one process loads all tables); :'last': when the newest night began.
-- The fourth table is slow since four nights, the seventh in the last night alone.
-- Try it: psql -v tables=24 -v nights=30 -v shards=4 -v last='2026-11-28 02:00:00+00' -f nights.sql
CREATE TEMPORARY TABLE made AS
WITH tables AS (
    SELECT n, coalesce((ARRAY['public.orders', 'public.order_lines', 'sales.invoices', 'public.events', 'warehouse.stock_moves',
                              'sales.payments', 'public.customers', 'crm.contacts', 'crm.tickets', 'public.products',
                              'warehouse.parcels', 'sales.discounts', 'public.sessions', 'crm.campaigns', 'hr.shifts',
                              'warehouse.suppliers', 'public.reviews', 'sales.taxes', 'public.addresses', 'hr.employees',
                              'public.carriers', 'public.countries', 'sales.currencies', 'public.settings'])[n + 1],
                       format('archive.events_%s', lpad(n::text, 4, '0'))) AS name,
           CASE WHEN :shards > 0 THEN (n % greatest(:shards, 1))::text END AS shard,
           0.3 + 900 / (n + 1.5) AS usual, 60000000 / (n + 1) + n % 7 AS rows,
           (ARRAY['delta', 'delta', 'full', 'delta', 'unchanged'])[n % 5 + 1] AS load
      FROM generate_series(0, :tables - 1) n
), nights AS (
    SELECT night, began, to_char(began AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS run_id
      FROM generate_series(0, :nights - 1) night, LATERAL (SELECT :'last'::timestamptz - night * interval '1 day') d (began)
), timed AS (
    SELECT t.*, g.*, noise, (t.rows * (1 - 0.004 * g.night))::bigint AS rows_then,
           (CASE WHEN t.n = 3 AND g.night < 4 THEN 2.3 WHEN t.n = 6 AND g.night = 0 THEN 2.1 ELSE 1 END
            * t.usual * (0.9 + 0.2 * noise))::float8 AS seconds
      FROM tables t, nights g, LATERAL (SELECT (t.n * 79 + (t.n + 7) * g.night * g.night * 31 + g.night * 577) % 997 / 997.0 AS noise) x
)
SELECT *, began + interval '1 s' * (4 + coalesce(sum(seconds) OVER lane, 0)) AS starts,
       (rows_then * 0.002 * (0.5 + noise))::bigint AS changed
  FROM timed
WINDOW lane AS (PARTITION BY night, shard, n / greatest(:shards, 1) % 4 ORDER BY n DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);

INSERT INTO etl.loads (run_id, table_name, schema_name, relation_name, shard, status, rows, bytes, started_at, finished_at,
                       copy_seconds, verify_seconds, index_seconds, analyze_seconds, merge_seconds, published_at, load, reason,
                       rows_changed, rows_deleted, drift)
SELECT m.run_id, m.name, split_part(m.name, '.', 1), split_part(m.name, '.', 2), m.shard, 'published', m.rows_then,
       CASE m.load WHEN 'full' THEN m.rows_then * 90 WHEN 'delta' THEN m.changed * 120 ELSE 0 END, m.starts,
       m.starts + m.seconds * interval '1 s', m.seconds * CASE m.load WHEN 'full' THEN 0.7 ELSE 0.93 END,
       m.seconds * CASE m.load WHEN 'full' THEN 0.12 ELSE 0.04 END,
       m.seconds * CASE m.load WHEN 'full' THEN 0.2 ELSE 0 END, m.seconds * CASE m.load WHEN 'unchanged' THEN 0 ELSE 0.04 END,
       CASE m.load WHEN 'unchanged' THEN NULL ELSE 0.2 + 4.0 / (m.n + 1) END, m.ends, m.load,
       CASE m.load WHEN 'full' THEN format('%s of %s rows have changed', to_char(m.changed * 90, 'FM999,999,999'),
                                           to_char(m.rows_then, 'FM999,999,999')) END,
       CASE m.load WHEN 'delta' THEN m.changed WHEN 'unchanged' THEN 0 END,
       CASE m.load WHEN 'delta' THEN m.changed / 50 WHEN 'unchanged' THEN 0 END,
       CASE WHEN m.n = 2 AND m.night = 0 THEN 'column discount is new' END
  FROM (SELECT *, max(starts + seconds * interval '1 s') OVER (PARTITION BY night) + interval '9 s' AS ends FROM made) m;

INSERT INTO etl.runs (run_id, status, started_at, finished_at, snapshot_at, tables, rows, bytes, publish, publish_way)
SELECT m.run_id, 'published', m.began, max(l.published_at), m.began + interval '3 s', count(*), sum(l.rows), sum(l.bytes),
       'run', 'merge'
  FROM (SELECT DISTINCT run_id, began FROM made) m
  JOIN etl.loads l ON l.run_id = m.run_id
 GROUP BY m.run_id, m.began;

DROP TABLE made;
ANALYZE etl.loads;
