-- The tables that a run has staged, each with the oid of its staging table. Target side; needs the ledger.
-- :'run_id': the run.
--
-- A table of which no row has changed has no staging table. That of a delta is delta_oid.
--
-- Try it: psql -v run_id=tonight -f ledger/staging_oids.sql
SELECT l.schema_name AS schema, l.relation_name AS name, coalesce(l.staging_oid, l.delta_oid) AS oid
  FROM etl.loads l
 WHERE l.run_id = :'run_id' AND l.status = 'staged' AND coalesce(l.staging_oid, l.delta_oid) IS NOT NULL;
