-- The tables that the ledger does not know to be published last: the last load of the table failed, or its run did; or a
-- run since the last publish failed at its start, before the ledger had its tables; or no load is known. Target side;
-- needs the ledger. The same ETL_RUN_ID every night leaves loads of an earlier attempt to such a run; they began before it.
-- :'names': the source's tables; :'job': a job, whose runs count, and not those of other jobs; empty if there is none.
-- Try it: psql -v names='{public.orders,public.never}' -v job= -f ledger/last_loads.sql
SELECT t.name AS table_name, l.run_id, l.status, l.published_at
  FROM unnest(:'names'::text[]) WITH ORDINALITY AS t (name, position)
  LEFT JOIN LATERAL (
       SELECT p.run_id, p.status, p.published_at
         FROM etl.loads p
         LEFT JOIN etl.runs r ON r.run_id = p.run_id
        WHERE p.table_name = t.name AND (:'job' = '' OR r.job IS NULL OR r.job = :'job')
        ORDER BY p.started_at DESC NULLS LAST
        LIMIT 1) AS l ON true
 WHERE l.status IS DISTINCT FROM 'published'
    OR EXISTS (SELECT FROM etl.runs r
                WHERE r.status IN ('failed', 'interrupted') AND r.started_at > l.published_at
                  AND (:'job' = '' OR r.job IS NULL OR r.job = :'job')
                  AND NOT EXISTS (SELECT FROM etl.loads o WHERE o.run_id = r.run_id AND o.started_at >= r.started_at))
 ORDER BY t.position;
