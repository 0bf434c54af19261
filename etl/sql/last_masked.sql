-- The columns of each table that were masked when the table was last published, or copied by a batch. Target side;
-- needs the ledger.
-- :'names': the source's tables; :'schemas', :'relations': for each, the live table; :'job': a job: tables of the same
-- name in another job's source are other tables; empty if there is none.
-- Try it: psql -v names='{public.orders}' -v schemas='{public}' -v relations='{orders}' -v job= -f last_masked.sql
--
-- Two entries of the ledger count: the last one of the source's table, and the last one of the live table. They differ
-- where the live table came from another source table, or the source's table now goes to another live table. An entry
-- of an older version does not say which columns were masked (NULL), and is left out.
WITH arrived AS MATERIALIZED (
     SELECT l.table_name, l.schema_name, l.relation_name, l.published_at AS at, l.masked, r.job
       FROM etl.loads l
       LEFT JOIN etl.runs r ON r.run_id = l.run_id
      WHERE l.status = 'published' AND l.masked IS NOT NULL
     UNION ALL
     SELECT w.table_name, NULL, NULL, w.updated_at, w.masked, NULL
       FROM etl.watermarks w
      WHERE w.masked IS NOT NULL),
by_source AS (
     SELECT DISTINCT ON (a.table_name) a.table_name, a.masked
       FROM arrived a
      WHERE :'job' = '' OR a.job IS NULL OR a.job = :'job'
      ORDER BY a.table_name, a.at DESC),
by_live AS (
     SELECT DISTINCT ON (a.schema_name, a.relation_name) a.schema_name, a.relation_name, a.table_name, a.masked
       FROM arrived a
      WHERE a.relation_name IS NOT NULL
      ORDER BY a.schema_name, a.relation_name, a.at DESC),
found AS (
     SELECT t.name, s.masked
       FROM unnest(:'names'::text[]) AS t (name)
       JOIN by_source s ON s.table_name = t.name
     UNION ALL
     SELECT t.name, v.masked
       FROM unnest(:'names'::text[], :'schemas'::text[], :'relations'::text[]) AS t (name, schema, relation)
       JOIN by_live v ON v.schema_name = t.schema AND v.relation_name = t.relation)
SELECT f.name AS table_name, array_agg(DISTINCT c.name) AS masked
  FROM found f
 CROSS JOIN LATERAL unnest(f.masked) AS c (name)
 GROUP BY f.name;
