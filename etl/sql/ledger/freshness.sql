-- The view etl.freshness: as of when each live table is. Its columns are a contract (docs/contract.md). Target side; needs
-- the ledger.
-- Try it: psql -c BEGIN -f ledger/freshness.sql -c 'TABLE etl.freshness' -c ROLLBACK
--
-- A change of this file needs a higher VIEW in etl/ledger/view.py, so that ledgers that have the view get the new one.
--
-- It reads the ledger and keeps nothing of its own, so each commit of a publish or a batch changes it with the rows, also
-- one of an older version. It runs with its owner's rights, because nobody else may read the ledger's tables. So it shows:
--   rows      only of tables that the reader may read, a column of it at least
--   rows, changed_rows  not where row security hides rows from the reader: the numbers are those of all rows
--   errors    never: an error may quote a row. failed_run_id is for `etl history`
-- security_barrier keeps functions in a reader's query from seeing other rows than these.
--
-- A table is found by its oid, so under the name that it has now, and not if it was dropped: another table may have its
-- name. A target that was restored from a dump has other oids. Then the load's live_state has another database than this
-- one, and the name counts, as it does where an older version wrote no oid. A load without a live_state does not tell; so
-- an oid whose table has another name counts only if no table has the name of the load.
--
-- The names have the collation of the ledger's columns, without which no index would serve: a year of 1,000 tables took
-- minutes, and takes a fifth of a second.
CREATE OR REPLACE VIEW etl.freshness WITH (security_barrier) AS
SELECT n.nspname::text AS table_schema,
       c.relname::text AS table_name,
       f.as_of,
       f.published_at,
       f.run_id,
       f.load,
       CASE WHEN NOT pg_catalog.row_security_active(c.oid) THEN f.rows END AS rows,
       CASE WHEN NOT pg_catalog.row_security_active(c.oid) THEN f.changed_rows END AS changed_rows,
       pg_catalog.now() - f.as_of AS staleness,
       failed.run_id IS NOT NULL AS last_run_failed,
       failed.run_id AS failed_run_id,
       f.note,
       f.retired_at
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN (SELECT pg_catalog.concat(s.system_identifier, ' ', d.oid) AS database
               FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
              WHERE d.datname = current_database()) AS target
 CROSS JOIN LATERAL (SELECT n.nspname::text COLLATE pg_catalog."default" AS schema,
                            c.relname::text COLLATE pg_catalog."default" AS name) AS here
 CROSS JOIN LATERAL (
       SELECT *
         FROM ((SELECT l.run_id, r.snapshot_at AS as_of, l.published_at, coalesce(l.load, 'full') AS load, l.rows,
                       CASE WHEN l.load = 'unchanged' THEN 0
                            ELSE l.rows_changed + coalesce(l.rows_deleted, 0) END AS changed_rows,
                       l.note, l.retired_at, coalesce(l.started_at, l.published_at) AS begun_at
                  FROM etl.loads l
                  LEFT JOIN etl.runs r ON r.run_id = l.run_id
                 WHERE l.live_oid = c.oid::pg_catalog.int8 AND l.status = 'published'
                   AND CASE WHEN l.live_state IS NOT NULL THEN l.live_state ->> 'database' = target.database
                            ELSE (l.schema_name = here.schema AND l.relation_name = here.name)
                              OR NOT EXISTS (SELECT FROM pg_catalog.pg_class o
                                               JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
                                              WHERE m.nspname = l.schema_name AND o.relname = l.relation_name) END
                 ORDER BY l.published_at DESC
                 LIMIT 1)
               UNION ALL
               SELECT b.run_id, r.snapshot_at, b.published_at, coalesce(b.load, 'full'), b.rows,
                      CASE WHEN b.load = 'unchanged' THEN 0
                           ELSE b.rows_changed + coalesce(b.rows_deleted, 0) END,
                      b.note, b.retired_at, coalesce(b.started_at, b.published_at)
                 FROM (SELECT l.run_id, l.published_at, l.load, l.rows, l.rows_changed, l.rows_deleted, l.note,
                              l.retired_at, l.started_at, l.live_oid, l.live_state
                         FROM etl.loads l
                        WHERE l.schema_name = here.schema AND l.relation_name = here.name AND l.status = 'published'
                        ORDER BY l.published_at DESC
                        LIMIT 1) AS b
                 LEFT JOIN etl.runs r ON r.run_id = b.run_id
                WHERE b.live_oid IS NULL OR b.live_state ->> 'database' <> target.database
               UNION ALL
               SELECT NULL, w.as_of, w.updated_at, 'batch', NULL, w.rows, w.note,
                      CASE WHEN w.retired_at >= w.updated_at THEN w.retired_at END, w.updated_at
                 FROM etl.watermarks w
                WHERE w.live_oid = c.oid::pg_catalog.int8
                  AND ((w.schema_name = here.schema AND w.relation_name = here.name)
                       OR NOT EXISTS (SELECT FROM pg_catalog.pg_class o
                                        JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
                                       WHERE m.nspname = w.schema_name AND o.relname = w.relation_name))) AS brought
        ORDER BY published_at DESC
        LIMIT 1) AS f
  -- a run that began later, had the table, and has ended without a publish
  LEFT JOIN LATERAL (
       SELECT r.run_id
         FROM etl.loads l
         JOIN etl.runs r ON r.run_id = l.run_id
        WHERE l.schema_name = here.schema AND l.relation_name = here.name AND l.published_at IS NULL
          AND r.status IN ('failed', 'interrupted', 'stopped') AND r.started_at > f.begun_at
        ORDER BY r.started_at DESC
        LIMIT 1) AS failed ON true
 WHERE c.relkind IN ('r', 'p')
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   -- a swap may have dropped the table since this query's snapshot; the table that has its name now has its privileges
   AND coalesce(pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
                pg_catalog.has_any_column_privilege(
                    pg_catalog.to_regclass(pg_catalog.format('%I.%I', n.nspname, c.relname))::pg_catalog.oid, 'SELECT'));
