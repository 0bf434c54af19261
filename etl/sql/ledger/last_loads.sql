-- The tables whose last load was not published: it failed, or its run did; or the ledger has no load of the table. Target
-- side; needs the ledger.
-- :'names': the source's tables.
-- Try it: psql -v names='{public.orders,public.never}' -f ledger/last_loads.sql
SELECT t.name AS table_name, l.run_id, l.status, p.published_at
  FROM unnest(:'names'::text[]) WITH ORDINALITY AS t (name, position)
  LEFT JOIN LATERAL (
       SELECT l.run_id, l.status
         FROM etl.loads l
        WHERE l.table_name = t.name
        ORDER BY l.started_at DESC NULLS LAST
        LIMIT 1) AS l ON true
  LEFT JOIN LATERAL (
       SELECT max(l.published_at) AS published_at FROM etl.loads l WHERE l.table_name = t.name) AS p ON true
 WHERE l.status IS DISTINCT FROM 'published'
 ORDER BY t.position;
