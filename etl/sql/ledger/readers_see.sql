-- As of when readers see the live tables of a run: the instant of the last publish of each, until that run ended. Target
-- side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f ledger/readers_see.sql
SELECT t.table_name, s.snapshot_at
  FROM etl.loads t
  JOIN etl.runs r ON r.run_id = t.run_id
 CROSS JOIN LATERAL (
       SELECT o.snapshot_at
         FROM etl.loads p
         JOIN etl.runs o ON o.run_id = p.run_id
        WHERE p.schema_name = t.schema_name AND p.relation_name = t.relation_name AND p.status = 'published'
          AND (p.run_id = r.run_id OR p.published_at <= coalesce(r.finished_at, 'infinity'))
        ORDER BY p.published_at DESC
        LIMIT 1) AS s
 WHERE t.run_id = :'run_id';
