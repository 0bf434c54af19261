-- A live table by its name, if a run or a batch has brought it: what the view etl.freshness says of it, its oid, the
-- source's table whose last publish made or changed it under this name, and the job whose run that was.
-- Target side; needs the ledger.
-- :'schema', :'name': the table.
-- Try it: psql -v schema=public -v name=orders -f retiring.sql
SELECT c.oid::int8 AS oid, f.as_of, f.rows, came.source, r.job
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN etl.freshness f ON f.table_schema = n.nspname AND f.table_name = c.relname
  LEFT JOIN LATERAL (
       SELECT l.table_name AS source
         FROM etl.loads l
        WHERE l.run_id = f.run_id AND l.schema_name = :'schema' AND l.relation_name = :'name' AND l.status = 'published'
          AND NOT EXISTS (SELECT FROM etl.loads o
                           WHERE o.table_name = l.table_name AND o.status = 'published'
                             AND o.published_at > l.published_at
                             -- another job's table of this name is another table
                             AND NOT EXISTS (SELECT FROM etl.runs m
                                               JOIN etl.runs k ON k.run_id = o.run_id
                                              WHERE m.run_id = l.run_id AND k.job <> m.job))) AS came ON true
  LEFT JOIN etl.runs r ON r.run_id = f.run_id
 WHERE n.nspname = :'schema' AND c.relname = :'name' AND f.published_at IS NOT NULL;
