-- The key of each advisory lock that runs exclude each other by; no other file and no module spells one. Target side.
-- A run of another version has to come to the same key, so the text that is hashed never changes: the kind of the lock,
-- and a run's id, or the name of a staging table, because that is what two runs must not share.
-- :'kind': run, snapshot, table or schemas; :'schemas': the tables' staging schemas, none for a run; :'names': the names.
-- Try it: psql -v kind=table -v schemas='{etl_staging_public}' -v names='{orders}' -f lock_keys.sql
SELECT n.schema,
       n.name,
       pg_catalog.hashtextextended(
           concat_ws(' ', 'nightly-etl', :'kind'::text,
                     CASE WHEN n.schema IS NULL THEN n.name ELSE format('%I.%I', n.schema, n.name) END), 0) AS key
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS n (schema, name);
