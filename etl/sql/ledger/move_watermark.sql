-- Writes the last id that batches have copied of a table. Target side; needs the ledger.
-- :'table_name': the source's table; :'last_id': the id; :'masked': the columns that were masked; :'at': the time;
-- :'schema_name', :'relation_name': the live table; :'as_of': the time of the snapshot; :'rows': those of the batch;
-- :'note': the table's option of that name.
-- Try it:
--   psql -v table_name=public.orders -v last_id=7 -v masked='{}' -v at=now -v schema_name=public \
--     -v relation_name=orders -v as_of=now -v rows=1 -v note=none -c BEGIN -f ledger/move_watermark.sql -c ROLLBACK
INSERT INTO etl.watermarks (
       table_name, last_id, updated_at, masked, schema_name, relation_name, as_of, rows, note, live_oid)
SELECT :'table_name', :'last_id'::bigint, :'at'::timestamptz, :'masked'::text[], :'schema_name'::text,
       :'relation_name'::text, :'as_of'::timestamptz, :'rows'::bigint, :'note',
       (SELECT c.oid::pg_catalog.int8
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = :'schema_name'::text AND c.relname = :'relation_name'::text)
    ON CONFLICT (table_name) DO UPDATE
   SET last_id = excluded.last_id, updated_at = excluded.updated_at, masked = excluded.masked,
       schema_name = excluded.schema_name, relation_name = excluded.relation_name, live_oid = excluded.live_oid,
       as_of = excluded.as_of, rows = excluded.rows, note = excluded.note, retired_at = NULL;
