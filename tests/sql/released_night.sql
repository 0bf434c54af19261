-- The statements on the ledger of one night of the released version, in many containers, and of an aborted run.
-- They come from the log of a server (log_statement = all) on which nightly-etl 0.1.0 ran, at commit e72406d. Parameters
-- are filled in, and the day is set back to 2020-01-01; comments, and statements that do not name the ledger, are left
-- out.

WITH arrived AS MATERIALIZED (
     SELECT l.table_name, l.schema_name, l.relation_name, l.published_at AS at, l.masked
       FROM etl.loads l
      WHERE l.status = 'published' AND l.masked IS NOT NULL
     UNION ALL
     SELECT w.table_name, NULL, NULL, w.updated_at, w.masked
       FROM etl.watermarks w
      WHERE w.masked IS NOT NULL),
by_source AS (
     SELECT DISTINCT ON (a.table_name) a.table_name, a.masked
       FROM arrived a
      ORDER BY a.table_name, a.at DESC),
by_live AS (
     SELECT DISTINCT ON (a.schema_name, a.relation_name) a.schema_name, a.relation_name, a.table_name, a.masked
       FROM arrived a
      WHERE a.relation_name IS NOT NULL
      ORDER BY a.schema_name, a.relation_name, a.at DESC),
found AS (
     SELECT t.name, s.masked
       FROM unnest('{public.items,public.orders}'::text[]) AS t (name)
       JOIN by_source s ON s.table_name = t.name
     UNION ALL
     SELECT t.name, v.masked
       FROM unnest('{public.items,public.orders}'::text[], '{public,public}'::text[],
    '{items,orders}'::text[]) AS t (name, schema, relation)
       JOIN by_live v ON v.schema_name = t.schema AND v.relation_name = t.relation)
SELECT f.name AS table_name, array_agg(DISTINCT c.name) AS masked
  FROM found f
 CROSS JOIN LATERAL unnest(f.masked) AS c (name)
 GROUP BY f.name;

SELECT t.name AS table_name, l.shard, l.rows, l.bytes,
       extract(epoch FROM l.finished_at - l.started_at)::float8 AS seconds
  FROM unnest('{public.items,public.orders}'::text[]) AS t (name)
 CROSS JOIN LATERAL (
       SELECT p.shard, p.rows, p.bytes, p.started_at, p.finished_at, p.published_at
         FROM etl.loads p
        WHERE p.table_name = t.name AND p.status = 'published' AND p.run_id <> ''
        ORDER BY p.published_at DESC
        LIMIT '1'::int) AS l
 ORDER BY t.name, l.published_at DESC;

INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('released-3'::VARCHAR, 'running'::VARCHAR,
    '2020-01-01 17:01:12.360408+00'::TIMESTAMP WITH TIME ZONE, 'defer'::VARCHAR) ON CONFLICT (run_id) DO NOTHING;

SELECT etl.runs.status, etl.runs.error, etl.runs.snapshot_id
FROM etl.runs
WHERE etl.runs.run_id = 'released-3'::VARCHAR FOR SHARE;

DELETE FROM etl.loads WHERE etl.loads.run_id = 'released-3'::VARCHAR AND etl.loads.status = 'planned'::VARCHAR;

SELECT etl.loads.run_id, etl.loads.table_name, etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes,
    etl.loads.started_at, etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds,
    etl.loads.analyze_seconds, etl.loads.published_at, etl.loads.error, etl.loads.schema_name,
    etl.loads.relation_name, etl.loads.carried, etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid,
    etl.loads.snapshot_id, etl.loads.masked, etl.loads.given_up
FROM etl.loads
WHERE etl.loads.run_id IN ('released-3'::VARCHAR) ORDER BY etl.loads.started_at, etl.loads.table_name;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.items'::VARCHAR, '0'::VARCHAR, 'planned'::VARCHAR,
    '2020-01-01 17:01:12.43065+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'items'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.orders'::VARCHAR, '1'::VARCHAR, 'planned'::VARCHAR,
    '2020-01-01 17:01:12.446556+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'orders'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('released-3'::VARCHAR, 'running'::VARCHAR,
    '2020-01-01 17:01:24.556853+00'::TIMESTAMP WITH TIME ZONE, 'defer'::VARCHAR) ON CONFLICT (run_id) DO NOTHING;

SELECT etl.runs.run_id, etl.runs.status, etl.runs.started_at, etl.runs.finished_at, etl.runs.snapshot_id,
    etl.runs.snapshot_at, etl.runs.tables, etl.runs.rows, etl.runs.bytes, etl.runs.error, etl.runs.publish
FROM etl.runs
WHERE etl.runs.run_id = 'released-3'::VARCHAR;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.items'::VARCHAR, NULL::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:24.797667+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'items'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET status = excluded.status,
    started_at = excluded.started_at WHERE etl.loads.status = 'planned';

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.orders'::VARCHAR, NULL::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:24.797677+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'orders'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET status = excluded.status,
    started_at = excluded.started_at WHERE etl.loads.status = 'planned';

UPDATE etl.runs SET snapshot_id='0000000B-00000004-1'::VARCHAR,
    snapshot_at='2020-01-01 17:01:24.668661+00'::TIMESTAMP WITH TIME ZONE WHERE etl.runs.run_id =
    'released-3'::VARCHAR;

SELECT r.status,
       r.error,
       r.snapshot_id,
       (SELECT count(*) FROM etl.loads l WHERE l.run_id = r.run_id AND l.status NOT IN ('staged',
    'published')) AS unstaged
  FROM etl.runs r
 WHERE r.run_id = 'released-3';

SELECT n.nspname::text AS schema, c.relname::text AS name, r.rolname::text AS owner, r.rolsuper AS is_superuser
  FROM unnest('{public}'::text[], '{items}'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE NOT r.rolsuper AND r.rolname <> current_user
   AND NOT EXISTS (SELECT FROM etl.loads l
                    WHERE l.schema_name = w.schema AND l.relation_name = w.name
                      AND l.live_oid = c.oid)
 ORDER BY 1, 2;

UPDATE etl.loads SET status='failed'::VARCHAR,
    error='never published; run released-3 took the table over'::VARCHAR,
    given_up=(SELECT etl.runs.status != 'running'::VARCHAR AS anon_1
FROM etl.runs
WHERE etl.runs.run_id = etl.loads.run_id) WHERE etl.loads.run_id != 'released-3'::VARCHAR AND etl.loads.status IN
    ('planned'::VARCHAR, 'loading'::VARCHAR, 'staged'::VARCHAR) AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_2.schema, anon_2.name
FROM unnest('{public}'::TEXT[], '{items}'::TEXT[]) AS anon_2(schema, name));

SELECT etl.runs.run_id, etl.runs.status, etl.runs.started_at, etl.runs.finished_at, etl.runs.snapshot_id,
    etl.runs.snapshot_at, etl.runs.tables, etl.runs.rows, etl.runs.bytes, etl.runs.error, etl.runs.publish
FROM etl.runs
WHERE etl.runs.status = 'running'::VARCHAR AND (etl.runs.publish != 'defer'::VARCHAR OR (EXISTS (SELECT *
FROM etl.loads
WHERE etl.loads.run_id = etl.runs.run_id AND etl.loads.status = 'loading'::VARCHAR)) OR NOT (EXISTS (SELECT *
FROM etl.loads
WHERE etl.loads.run_id = etl.runs.run_id AND etl.loads.status = 'staged'::VARCHAR)) AND etl.runs.started_at <
    '2026-11-26 17:01:24.982104+00'::TIMESTAMP WITH TIME ZONE);

SELECT DISTINCT etl.loads.schema_name AS schema, etl.loads.relation_name AS name
FROM etl.loads
WHERE etl.loads.schema_name IS NOT NULL;

INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('released-3'::VARCHAR, 'running'::VARCHAR,
    '2020-01-01 17:01:25.008249+00'::TIMESTAMP WITH TIME ZONE, 'defer'::VARCHAR) ON CONFLICT (run_id) DO NOTHING;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.items'::VARCHAR, '0'::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:25.022096+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'items'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

SELECT DISTINCT ON (etl.loads.schema_name, etl.loads.relation_name) etl.loads.run_id, etl.loads.table_name,
    etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes, etl.loads.started_at,
    etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds, etl.loads.analyze_seconds,
    etl.loads.published_at, etl.loads.error, etl.loads.schema_name, etl.loads.relation_name, etl.loads.carried,
    etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid, etl.loads.snapshot_id, etl.loads.masked,
    etl.loads.given_up
FROM etl.loads
WHERE etl.loads.status = 'published'::VARCHAR ORDER BY etl.loads.schema_name, etl.loads.relation_name,
    etl.loads.published_at DESC;

INSERT INTO etl.loads (run_id, table_name, status, rows, bytes, started_at, finished_at, copy_seconds,
    index_seconds, analyze_seconds, published_at, error, schema_name, relation_name, carried, staging_oid,
    newest_xid, snapshot_id, masked, given_up) VALUES ('released-3'::VARCHAR, 'public.items'::VARCHAR,
    'staged'::VARCHAR, 300::BIGINT, 3021::BIGINT,
    '2020-01-01 17:01:25.183547+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE,
    '2020-01-01 17:01:25.290467+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE, 0.083, 0.021, 0.002,
    NULL::TIMESTAMP WITH TIME ZONE, NULL::VARCHAR, 'public'::VARCHAR, 'items'::VARCHAR, '{items_pkey}'::TEXT[],
    16442::BIGINT, NULL::BIGINT, '0000000B-00000004-1'::VARCHAR, '{}'::TEXT[], false) ON CONFLICT (run_id,
    table_name) DO UPDATE SET status = excluded.status, rows = excluded.rows, bytes = excluded.bytes,
    started_at = excluded.started_at, finished_at = excluded.finished_at, copy_seconds = excluded.copy_seconds,
    index_seconds = excluded.index_seconds, analyze_seconds = excluded.analyze_seconds,
    published_at = excluded.published_at, error = excluded.error, schema_name = excluded.schema_name,
    relation_name = excluded.relation_name, carried = excluded.carried, staging_oid = excluded.staging_oid,
    newest_xid = excluded.newest_xid, snapshot_id = excluded.snapshot_id, masked = excluded.masked,
    given_up = excluded.given_up;

UPDATE etl.loads SET status='failed'::VARCHAR,
    error='never published; run released-3 took the table over'::VARCHAR,
    given_up=(SELECT etl.runs.status != 'running'::VARCHAR AS anon_1
FROM etl.runs
WHERE etl.runs.run_id = etl.loads.run_id) WHERE etl.loads.run_id != 'released-3'::VARCHAR AND etl.loads.status IN
    ('planned'::VARCHAR, 'loading'::VARCHAR, 'staged'::VARCHAR) AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_2.schema, anon_2.name
FROM unnest('{public}'::TEXT[], '{orders}'::TEXT[]) AS anon_2(schema, name));

SELECT etl.loads.schema_name AS schema, etl.loads.relation_name AS name
FROM etl.loads JOIN etl.runs ON etl.runs.run_id = etl.loads.run_id
WHERE etl.loads.status = 'staged'::VARCHAR AND etl.runs.status = 'running'::VARCHAR AND etl.runs.publish =
    'defer'::VARCHAR;

INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('released-3'::VARCHAR, 'running'::VARCHAR,
    '2020-01-01 17:01:29.888819+00'::TIMESTAMP WITH TIME ZONE, 'defer'::VARCHAR) ON CONFLICT (run_id) DO NOTHING;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-3'::VARCHAR, 'public.orders'::VARCHAR, '1'::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:29.932125+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'orders'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

INSERT INTO etl.loads (run_id, table_name, status, rows, bytes, started_at, finished_at, copy_seconds,
    index_seconds, analyze_seconds, published_at, error, schema_name, relation_name, carried, staging_oid,
    newest_xid, snapshot_id, masked, given_up) VALUES ('released-3'::VARCHAR, 'public.orders'::VARCHAR,
    'staged'::VARCHAR, 300::BIGINT, 3021::BIGINT,
    '2020-01-01 17:01:30.212785+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE,
    '2020-01-01 17:01:30.365175+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE, 0.116, 0.029, 0.007,
    NULL::TIMESTAMP WITH TIME ZONE, NULL::VARCHAR, 'public'::VARCHAR, 'orders'::VARCHAR, '{orders_pkey}'::TEXT[],
    16448::BIGINT, NULL::BIGINT, '0000000B-00000004-1'::VARCHAR, '{}'::TEXT[], false) ON CONFLICT (run_id,
    table_name) DO UPDATE SET status = excluded.status, rows = excluded.rows, bytes = excluded.bytes,
    started_at = excluded.started_at, finished_at = excluded.finished_at, copy_seconds = excluded.copy_seconds,
    index_seconds = excluded.index_seconds, analyze_seconds = excluded.analyze_seconds,
    published_at = excluded.published_at, error = excluded.error, schema_name = excluded.schema_name,
    relation_name = excluded.relation_name, carried = excluded.carried, staging_oid = excluded.staging_oid,
    newest_xid = excluded.newest_xid, snapshot_id = excluded.snapshot_id, masked = excluded.masked,
    given_up = excluded.given_up;

SELECT etl.loads.run_id, etl.loads.table_name, etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes,
    etl.loads.started_at, etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds,
    etl.loads.analyze_seconds, etl.loads.published_at, etl.loads.error, etl.loads.schema_name,
    etl.loads.relation_name, etl.loads.carried, etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid,
    etl.loads.snapshot_id, etl.loads.masked, etl.loads.given_up
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR AND etl.loads.newest_xid IS NOT NULL;

SELECT etl.loads.run_id, etl.loads.table_name, etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes,
    etl.loads.started_at, etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds,
    etl.loads.analyze_seconds, etl.loads.published_at, etl.loads.error, etl.loads.schema_name,
    etl.loads.relation_name, etl.loads.carried, etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid,
    etl.loads.snapshot_id, etl.loads.masked, etl.loads.given_up
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR;

SELECT etl.loads.run_id, etl.loads.table_name, etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes,
    etl.loads.started_at, etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds,
    etl.loads.analyze_seconds, etl.loads.published_at, etl.loads.error, etl.loads.schema_name,
    etl.loads.relation_name, etl.loads.carried, etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid,
    etl.loads.snapshot_id, etl.loads.masked, etl.loads.given_up
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR AND etl.loads.status = 'staged'::VARCHAR;

UPDATE etl.loads SET status='published'::VARCHAR,
    published_at='2020-01-01 17:01:36.831356+00'::TIMESTAMP WITH TIME ZONE,
    live_oid=etl.loads.staging_oid WHERE etl.loads.run_id = 'released-3'::VARCHAR AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_1.schema, anon_1.name
FROM unnest('{public,public}'::TEXT[], '{items,orders}'::TEXT[]) AS anon_1(schema, name));

UPDATE etl.runs SET status='published'::VARCHAR,
    finished_at='2020-01-01 17:01:36.853027+00'::TIMESTAMP WITH TIME ZONE, tables=(SELECT count(*) AS count_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR), rows=(SELECT sum(etl.loads.rows) AS sum_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR), bytes=(SELECT sum(etl.loads.bytes) AS sum_2
FROM etl.loads
WHERE etl.loads.run_id = 'released-3'::VARCHAR),
    error=NULL::VARCHAR WHERE etl.runs.run_id = 'released-3'::VARCHAR AND etl.runs.status IN ('running'::VARCHAR);

INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('released-4'::VARCHAR, 'running'::VARCHAR,
    '2020-01-01 17:01:40.878643+00'::TIMESTAMP WITH TIME ZONE, 'defer'::VARCHAR) ON CONFLICT (run_id) DO NOTHING;

DELETE FROM etl.loads WHERE etl.loads.run_id = 'released-4'::VARCHAR AND etl.loads.status = 'planned'::VARCHAR;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-4'::VARCHAR, 'public.items'::VARCHAR, '0'::VARCHAR, 'planned'::VARCHAR,
    '2020-01-01 17:01:40.901226+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'items'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-4'::VARCHAR, 'public.orders'::VARCHAR, '1'::VARCHAR, 'planned'::VARCHAR,
    '2020-01-01 17:01:40.908271+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'orders'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

UPDATE etl.runs SET status='failed'::VARCHAR,
    finished_at='2020-01-01 17:01:44.337055+00'::TIMESTAMP WITH TIME ZONE, tables=(SELECT count(*) AS count_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-4'::VARCHAR), rows=(SELECT sum(etl.loads.rows) AS sum_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-4'::VARCHAR), bytes=(SELECT sum(etl.loads.bytes) AS sum_2
FROM etl.loads
WHERE etl.loads.run_id = 'released-4'::VARCHAR),
    error='aborted'::VARCHAR WHERE etl.runs.run_id = 'released-4'::VARCHAR AND etl.runs.status IN
    ('running'::VARCHAR, 'interrupted'::VARCHAR);

UPDATE etl.loads SET status='failed'::VARCHAR, error='aborted'::VARCHAR,
    given_up=(SELECT etl.runs.status != 'running'::VARCHAR AS anon_1
FROM etl.runs
WHERE etl.runs.run_id = etl.loads.run_id) WHERE etl.loads.run_id = 'released-4'::VARCHAR AND etl.loads.status IN
    ('planned'::VARCHAR, 'loading'::VARCHAR, 'staged'::VARCHAR) AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_2.schema, anon_2.name
FROM unnest('{public,public}'::TEXT[], '{items,orders}'::TEXT[]) AS anon_2(schema, name));

SELECT etl.runs.run_id, etl.runs.status, etl.runs.started_at, etl.runs.finished_at, etl.runs.snapshot_id,
    etl.runs.snapshot_at, etl.runs.tables, etl.runs.rows, etl.runs.bytes, etl.runs.error, etl.runs.publish
FROM etl.runs
WHERE etl.runs.status = 'published'::VARCHAR ORDER BY etl.runs.started_at DESC, etl.runs.run_id
 LIMIT '1'::INTEGER;

SELECT etl.runs.run_id, etl.runs.status, etl.runs.started_at, etl.runs.finished_at, etl.runs.snapshot_id,
    etl.runs.snapshot_at, etl.runs.tables, etl.runs.rows, etl.runs.bytes, etl.runs.error, etl.runs.publish
FROM etl.runs ORDER BY etl.runs.started_at DESC, etl.runs.run_id
 LIMIT '5'::INTEGER;

SELECT etl.loads.run_id, etl.loads.table_name, etl.loads.shard, etl.loads.status, etl.loads.rows, etl.loads.bytes,
    etl.loads.started_at, etl.loads.finished_at, etl.loads.copy_seconds, etl.loads.index_seconds,
    etl.loads.analyze_seconds, etl.loads.published_at, etl.loads.error, etl.loads.schema_name,
    etl.loads.relation_name, etl.loads.carried, etl.loads.staging_oid, etl.loads.live_oid, etl.loads.newest_xid,
    etl.loads.snapshot_id, etl.loads.masked, etl.loads.given_up
FROM etl.loads
WHERE etl.loads.run_id IN ('released-4'::VARCHAR, 'released-3'::VARCHAR, 'released-2'::VARCHAR,
    'released-1'::VARCHAR) ORDER BY etl.loads.started_at, etl.loads.table_name;
