-- Tries to take the lock of each table until this session ends, and says of each whether it has the lock. Target side.
-- :'schemas', :'names': the staging tables, because two runs must not share one.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -f lock_tables.sql
SELECT t.schema,
       t.name,
       pg_catalog.pg_try_advisory_lock(
           pg_catalog.hashtextextended(format('nightly-etl table %I.%I', t.schema, t.name), 0)) AS locked
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS t (schema, name);
