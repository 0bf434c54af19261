-- The keys of the advisory locks by which runs exclude each other. No other file or module computes a key. Target side.
-- Runs of different versions have to compute the same keys, so the text that is hashed must never change.
-- :'kind': run, snapshot, table or schemas; :'names': ids of runs, or staging tables; :'schemas': for each, its schema.
-- Try it: psql -v kind=table -v schemas='{etl_staging_public}' -v names='{orders}' -f lock_keys.sql
SELECT n.schema,
       n.name,
       pg_catalog.hashtextextended(
           concat_ws(' ', 'nightly-etl', :'kind'::text,
                     CASE WHEN n.schema IS NULL THEN n.name ELSE format('%I.%I', n.schema, n.name) END), 0) AS key
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS n (schema, name);
