-- The changes of live tables since an instant: by runs, or by batches, which have no run_id. Target side; needs the
-- ledger.
-- :'since': the instant; :'tables': the source's tables; :'schemas', :'names': the live tables.
--
-- Batches count by their live table, because tables of two jobs may be called alike in their sources; where an older
-- version wrote no live table, by the source's.
-- Try it:
--   psql -v since=yesterday -v tables='{public.orders}' -v schemas='{public}' -v names='{orders}' \
--     -f ledger/newer.sql
SELECT l.table_name, l.run_id
  FROM etl.loads l
 WHERE l.published_at > :'since'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
UNION ALL
SELECT w.table_name, NULL
  FROM etl.watermarks w
 WHERE w.updated_at > :'since'
   AND CASE WHEN w.relation_name IS NULL THEN w.table_name = ANY (:'tables'::text[])
            ELSE (w.schema_name, w.relation_name) IN
                 (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name)) END
 ORDER BY 1, 2;
