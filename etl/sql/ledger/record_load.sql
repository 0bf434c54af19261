-- Writes the result of a load, in place of that of an earlier attempt. Target side; needs the ledger.
-- :'run_id': the run; the other variables are the columns of the ledger (docs/contract.md): :'table_name',
-- :'schema_name', :'relation_name', :'status', :'started_at', :'finished_at', :'rows', :'bytes', :'copy_seconds',
-- :'index_seconds', :'analyze_seconds', :'carried', :'masked', :'error', :'staging_oid', :'snapshot_id', :'newest_xid',
-- :'given_up', :'where_digest', :'shrink_at_most', :'rows_min', :'load', :'delta_oid', :'reason', :'base', :'base_run',
-- :'rows_changed', :'rows_deleted', :'deleted_at_most', :'shape', :'note', :'verify_seconds', :'drift'.
-- Try it:
--   psql -v run_id=tonight -v table_name=public.orders -v schema_name=public -v relation_name=orders \
--     -v status=staged -v started_at=now -v finished_at=now -v rows=1 -v bytes=1 -v copy_seconds=1 \
--     -v index_seconds=1 -v analyze_seconds=1 -v carried='{}' -v masked='{}' -v error=none -v staging_oid=1234 \
--     -v snapshot_id=1 -v newest_xid=1234 -v given_up=false -v where_digest=none -v shrink_at_most=50% \
--     -v rows_min=0 -v load=full -v delta_oid=1234 -v reason=none -v base='{}' -v base_run=none \
--     -v rows_changed=0 -v rows_deleted=0 -v deleted_at_most=50% -v shape=none -v note=none \
--     -v verify_seconds=1 -v drift=none -c BEGIN -f ledger/record_load.sql -c ROLLBACK
INSERT INTO etl.loads (
       run_id, table_name, schema_name, relation_name, status, started_at, finished_at, rows, bytes, copy_seconds,
       index_seconds, analyze_seconds, carried, masked, error, staging_oid, snapshot_id, newest_xid, given_up,
       where_digest, shrink_at_most, rows_min, load, delta_oid, reason, base, base_run, rows_changed, rows_deleted,
       deleted_at_most, shape, note, verify_seconds, drift)
VALUES (:'run_id', :'table_name', :'schema_name', :'relation_name', :'status', :'started_at', :'finished_at', :'rows',
        :'bytes', :'copy_seconds', :'index_seconds', :'analyze_seconds', :'carried', :'masked', :'error',
        :'staging_oid', :'snapshot_id', :'newest_xid', :'given_up', :'where_digest', :'shrink_at_most', :'rows_min',
        :'load', :'delta_oid', :'reason', :'base', :'base_run', :'rows_changed', :'rows_deleted',
        :'deleted_at_most', :'shape', :'note', :'verify_seconds', :'drift')
    ON CONFLICT (run_id, table_name) DO UPDATE
   SET schema_name = excluded.schema_name, relation_name = excluded.relation_name, status = excluded.status,
       started_at = excluded.started_at, finished_at = excluded.finished_at, rows = excluded.rows,
       bytes = excluded.bytes, copy_seconds = excluded.copy_seconds, index_seconds = excluded.index_seconds,
       analyze_seconds = excluded.analyze_seconds, carried = excluded.carried, masked = excluded.masked,
       error = excluded.error, staging_oid = excluded.staging_oid, snapshot_id = excluded.snapshot_id,
       newest_xid = excluded.newest_xid, given_up = excluded.given_up, where_digest = excluded.where_digest,
       shrink_at_most = excluded.shrink_at_most, rows_min = excluded.rows_min, load = excluded.load,
       delta_oid = excluded.delta_oid, reason = excluded.reason, base = excluded.base, base_run = excluded.base_run,
       rows_changed = excluded.rows_changed, rows_deleted = excluded.rows_deleted,
       deleted_at_most = excluded.deleted_at_most, shape = excluded.shape, note = excluded.note,
       verify_seconds = excluded.verify_seconds, drift = excluded.drift, published_at = NULL;
