-- Writes that a run is to load a table, in place of an earlier attempt. Target side; needs the ledger.
-- :'run_id', :'table_name': the run, and the source's table; :'schema_name', :'relation_name': the live table;
-- :'shard', :'status': the load's shard and status; :'at': the time.
-- Try it:
--   psql -v run_id=tonight -v table_name=public.orders -v schema_name=public -v relation_name=orders -v shard=0 \
--     -v status=loading -v at=now -c BEGIN -f ledger/begin_load.sql -c ROLLBACK
INSERT INTO etl.loads (run_id, table_name, schema_name, relation_name, shard, status, started_at)
VALUES (:'run_id', :'table_name', :'schema_name', :'relation_name', :'shard', :'status', :'at')
    ON CONFLICT (run_id, table_name) DO UPDATE
   SET shard = excluded.shard, status = excluded.status, started_at = excluded.started_at, error = NULL,
       given_up = NULL, finished_at = NULL, published_at = NULL,
       rows = NULL, bytes = NULL, copy_seconds = NULL, index_seconds = NULL, analyze_seconds = NULL, load = NULL,
       reason = NULL, rows_changed = NULL, rows_deleted = NULL,
       step = NULL, rows_so_far = NULL, bytes_so_far = NULL, bytes_expected = NULL, told_at = NULL,
       verify_seconds = NULL, drift = NULL;
