-- The loads of some runs, in the order in which they began. Target side; needs the ledger.
-- :'run_ids': the runs; :'table': the loads of this table of the source alone, empty for all.
-- Try it: psql -v run_ids='{tonight}' -v table= -f ledger/loads.sql
SELECT l.run_id, l.table_name, l.shard, l.status, l.rows, l.bytes, l.started_at, l.finished_at,
       l.copy_seconds, l.index_seconds, l.analyze_seconds, l.published_at, l.error, l.schema_name, l.relation_name,
       l.carried, l.staging_oid, l.live_oid, l.newest_xid, l.snapshot_id, l.masked, l.given_up, l.where_digest,
       l.shrink_at_most, l.rows_min, l.load, l.delta_oid, l.reason, l.base, l.base_run, l.live_state,
       l.rows_changed, l.rows_deleted, l.deleted_at_most, l.merge_seconds, l.views,
       l.shape, l.note, l.retired_at, l.step, l.rows_so_far, l.bytes_so_far, l.bytes_expected, l.told_at,
       l.verify_seconds, l.drift
  FROM etl.loads l
 WHERE l.run_id = ANY (:'run_ids'::text[]) AND :'table' IN ('', l.table_name)
 ORDER BY l.started_at, l.table_name;
