-- As of when readers see the live tables of a run: the instant of the last publish of each, until that run ended; and
-- whether a later run has published it since. Target side; needs the ledger.
-- :'run_id': the run.
-- A load without a live table's name is of an older version, which renamed none: its source's name tells.
-- Try it: psql -v run_id=tonight -f ledger/readers_see.sql
WITH own AS (
    SELECT l.table_name, l.schema_name, l.relation_name, r.run_id, coalesce(r.finished_at, 'infinity') AS ended
      FROM etl.loads l
      JOIN etl.runs r ON r.run_id = l.run_id
     WHERE l.run_id = :'run_id'
)
SELECT t.table_name, s.snapshot_at,
       EXISTS (SELECT
                 FROM etl.loads p
                WHERE p.schema_name = t.schema_name AND p.relation_name = t.relation_name AND p.status = 'published'
                  AND p.run_id <> t.run_id AND p.published_at > t.ended)
       OR t.relation_name IS NULL
          AND EXISTS (SELECT
                        FROM etl.loads p
                       WHERE p.table_name = t.table_name AND p.status = 'published'
                         AND p.run_id <> t.run_id AND p.published_at > t.ended) AS is_past
  FROM own t
  LEFT JOIN LATERAL (
       SELECT o.snapshot_at
         FROM ((SELECT p.run_id, p.published_at
                  FROM etl.loads p
                 WHERE p.schema_name = t.schema_name AND p.relation_name = t.relation_name AND p.status = 'published'
                   AND (p.run_id = t.run_id OR p.published_at <= t.ended)
                 ORDER BY p.published_at DESC
                 LIMIT 1)
               UNION ALL
               (SELECT p.run_id, p.published_at
                  FROM etl.loads p
                 WHERE p.table_name = t.table_name AND p.relation_name IS NULL AND p.status = 'published'
                   AND (p.run_id = t.run_id OR p.published_at <= t.ended)
                 ORDER BY p.published_at DESC
                 LIMIT 1)) AS p
         JOIN etl.runs o ON o.run_id = p.run_id
        ORDER BY p.published_at DESC
        LIMIT 1) AS s ON true;
