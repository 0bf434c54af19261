-- The rows of each table that a run has staged or published, beside those of the last published load of the same live
-- table. Target side; needs the ledger.
-- :'run_id': the run.
-- Try it: psql -v run_id=tonight -f row_counts.sql
--
-- The live table decides, because its readers would miss the rows: not the source's table, which may have arrived under
-- another name the last time.
--
-- is_emptied: the staging table is UNLOGGED, and a crash of the server has emptied it since
WITH staged AS (
     SELECT l.table_name, l.schema_name, l.relation_name, l.rows, l.where_digest, l.shrink_at_most, l.rows_min,
            l.rows_deleted, l.deleted_at_most,
            coalesce(c.relpersistence = 'u' AND l.rows > 0 AND l.status = 'staged'
                       AND pg_catalog.pg_relation_size(c.oid) = 0, false) AS is_emptied
       FROM etl.loads l
       LEFT JOIN pg_catalog.pg_class c ON c.oid = l.staging_oid
      WHERE l.run_id = :'run_id' AND l.status IN ('staged', 'published') AND l.rows IS NOT NULL AND l.relation_name IS NOT NULL),
latest AS (
     SELECT p.schema_name, p.relation_name, max(p.published_at) AS published_at
       FROM etl.loads p
       JOIN staged s ON s.schema_name = p.schema_name AND s.relation_name = p.relation_name
      WHERE p.status = 'published' AND p.run_id <> :'run_id'
      GROUP BY p.schema_name, p.relation_name)
SELECT s.table_name, s.schema_name, s.relation_name, s.rows,
       b.rows AS before, b.run_id AS before_run, b.published_at AS before_at,
       b.where_digest <> s.where_digest AS refiltered, s.is_emptied, s.shrink_at_most, s.rows_min,
       s.rows_deleted, s.deleted_at_most
  FROM staged s
  LEFT JOIN latest n ON n.schema_name = s.schema_name AND n.relation_name = s.relation_name
  LEFT JOIN etl.loads b ON b.schema_name = n.schema_name AND b.relation_name = n.relation_name
                       AND b.published_at = n.published_at AND b.status = 'published' AND b.run_id <> :'run_id'
 ORDER BY s.table_name;
