-- Tries the lock of each table, for as long as this session lasts; tells which it got. Target side.
-- The key is the staging table's name, because that is what two runs must not share.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -f lock_tables.sql
SELECT t.schema,
       t.name,
       pg_catalog.pg_try_advisory_lock(
           pg_catalog.hashtextextended(format('nightly-etl table %I.%I', t.schema, t.name), 0)) AS locked
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS t (schema, name);
