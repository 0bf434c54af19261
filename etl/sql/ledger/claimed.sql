-- The live tables that another job has published last, each with that job; those are left out that are gone, or that
-- `etl retire` has marked since. Target side; needs the ledger.
-- :'schemas', :'names': the live tables; :'job': the job that is to load them.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -v job=acme -f ledger/claimed.sql
SELECT p.job, p.schema, p.name
  FROM (SELECT DISTINCT ON (l.schema_name, l.relation_name)
               l.schema_name AS schema, l.relation_name AS name, l.retired_at, r.job
          FROM etl.loads l
          LEFT JOIN etl.runs r ON r.run_id = l.run_id
         WHERE l.status = 'published'
           AND (l.schema_name, l.relation_name) IN
               (SELECT u.schema, u.name FROM unnest(:'schemas'::text[], :'names'::text[]) AS u (schema, name))
         ORDER BY l.schema_name, l.relation_name, l.published_at DESC) AS p
  JOIN pg_catalog.pg_namespace n ON n.nspname = p.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.name
 WHERE p.job <> :'job' AND p.retired_at IS NULL
 ORDER BY p.job, p.schema, p.name;
