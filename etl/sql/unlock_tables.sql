-- Releases the locks that lock_tables.sql took in this session. Target side.
-- :'schemas', :'names': the staging tables.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -f lock_tables.sql -f unlock_tables.sql
SELECT pg_catalog.pg_advisory_unlock(
           pg_catalog.hashtextextended(format('nightly-etl table %I.%I', t.schema, t.name), 0))
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS t (schema, name);
