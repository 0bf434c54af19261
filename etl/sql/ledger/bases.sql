-- The last published load of live tables: what the next load may be a delta of. Target side; needs the ledger.
-- :'schemas', :'names': the live tables; :'least': the changed rows from which on the seconds of a merge tell its speed;
-- :'since': how long ago the merge was at most. Otherwise one slow night would let no later one be merged.
-- row_seconds is how long the last merge of so many rows took for one row, changed or gone; null if there was none.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -v least=1000 -v since='30 days' -f ledger/bases.sql
SELECT DISTINCT ON (l.schema_name, l.relation_name)
       l.schema_name AS schema, l.relation_name AS name, l.run_id, l.base, l.live_state, l.rows_deleted,
       (SELECT m.merge_seconds / (m.rows_changed + coalesce(m.rows_deleted, 0))
          FROM etl.loads m
         WHERE m.schema_name = l.schema_name AND m.relation_name = l.relation_name AND m.status = 'published'
           AND m.merge_seconds IS NOT NULL
           AND m.rows_changed >= :'least' AND m.published_at >= pg_catalog.now() - :'since'::pg_catalog.interval
         ORDER BY m.published_at DESC
         LIMIT 1) AS row_seconds
  FROM etl.loads l
 WHERE l.status = 'published'
   AND (l.schema_name, l.relation_name) IN
       (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
 ORDER BY l.schema_name, l.relation_name, l.published_at DESC;
