-- The ledger of the released version after one night, as the statements that made it.
-- They come from the log of a server (log_statement = all) on which nightly-etl 0.1.0 ran, at commit e72406d. Parameters
-- are filled in, and the day is set back to 2020-01-01; comments, and statements that do not name the ledger, are left
-- out.

CREATE SCHEMA IF NOT EXISTS etl;

CREATE TABLE IF NOT EXISTS etl.runs (
    run_id TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    snapshot_id TEXT,
    snapshot_at TIMESTAMP WITH TIME ZONE,
    tables BIGINT,
    rows BIGINT,
    bytes BIGINT,
    error TEXT,
    publish TEXT,
    PRIMARY KEY (run_id)
)
 WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS etl.loads (
    run_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    shard TEXT,
    status TEXT NOT NULL,
    rows BIGINT,
    bytes BIGINT,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    copy_seconds DOUBLE PRECISION,
    index_seconds DOUBLE PRECISION,
    analyze_seconds DOUBLE PRECISION,
    published_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    schema_name TEXT,
    relation_name TEXT,
    carried TEXT[],
    staging_oid BIGINT,
    live_oid BIGINT,
    newest_xid BIGINT,
    snapshot_id TEXT,
    masked TEXT[],
    given_up BOOLEAN,
    PRIMARY KEY (run_id, table_name)
)
 WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS etl.watermarks (
    table_name TEXT NOT NULL,
    last_id BIGINT,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    masked TEXT[],
    PRIMARY KEY (table_name)
);

CREATE INDEX IF NOT EXISTS loads_by_table ON etl.loads (table_name, published_at);

UPDATE etl.loads SET status='failed'::VARCHAR,
    error='never published; run released-1 took the table over'::VARCHAR,
    given_up=(SELECT etl.runs.status != 'running'::VARCHAR AS anon_1
FROM etl.runs
WHERE etl.runs.run_id = etl.loads.run_id) WHERE etl.loads.run_id != 'released-1'::VARCHAR AND etl.loads.status IN
    ('planned'::VARCHAR, 'loading'::VARCHAR, 'staged'::VARCHAR) AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_2.schema, anon_2.name
FROM unnest('{public,public}'::TEXT[], '{items,orders}'::TEXT[]) AS anon_2(schema, name));

INSERT INTO etl.runs (run_id, status, started_at, finished_at, error, publish) VALUES ('released-1'::VARCHAR,
    'running'::VARCHAR, '2020-01-01 17:01:02.430696+00'::TIMESTAMP WITH TIME ZONE, NULL::TIMESTAMP WITH TIME ZONE,
    NULL::VARCHAR, 'run'::VARCHAR) ON CONFLICT (run_id) DO UPDATE SET status = 'running'::VARCHAR,
    finished_at = NULL::TIMESTAMP WITH TIME ZONE, error = NULL::VARCHAR, publish = 'run'::VARCHAR;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-1'::VARCHAR, 'public.items'::VARCHAR, NULL::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:02.441759+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'items'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name,
    relation_name) VALUES ('released-1'::VARCHAR, 'public.orders'::VARCHAR, NULL::VARCHAR, 'loading'::VARCHAR,
    '2020-01-01 17:01:02.441768+00'::TIMESTAMP WITH TIME ZONE, 'public'::VARCHAR,
    'orders'::VARCHAR) ON CONFLICT (run_id, table_name) DO UPDATE SET shard = excluded.shard,
    status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    published_at = excluded.published_at, error = excluded.error, given_up = excluded.given_up;

UPDATE etl.runs SET snapshot_id='00000003-00000006-1'::VARCHAR,
    snapshot_at='2020-01-01 17:01:02.454762+00'::TIMESTAMP WITH TIME ZONE WHERE etl.runs.run_id =
    'released-1'::VARCHAR;

INSERT INTO etl.loads (run_id, table_name, status, rows, bytes, started_at, finished_at, copy_seconds,
    index_seconds, analyze_seconds, published_at, error, schema_name, relation_name, carried, staging_oid,
    newest_xid, snapshot_id, masked, given_up) VALUES ('released-1'::VARCHAR, 'public.items'::VARCHAR,
    'staged'::VARCHAR, 300::BIGINT, 3021::BIGINT,
    '2020-01-01 17:01:02.625455+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE,
    '2020-01-01 17:01:02.845343+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE, 0.164, 0.048, 0.007,
    NULL::TIMESTAMP WITH TIME ZONE, NULL::VARCHAR, 'public'::VARCHAR, 'items'::VARCHAR, '{items_pkey}'::TEXT[],
    16418::BIGINT, NULL::BIGINT, '00000003-00000006-1'::VARCHAR, '{}'::TEXT[], false) ON CONFLICT (run_id,
    table_name) DO UPDATE SET status = excluded.status, rows = excluded.rows, bytes = excluded.bytes,
    started_at = excluded.started_at, finished_at = excluded.finished_at, copy_seconds = excluded.copy_seconds,
    index_seconds = excluded.index_seconds, analyze_seconds = excluded.analyze_seconds,
    published_at = excluded.published_at, error = excluded.error, schema_name = excluded.schema_name,
    relation_name = excluded.relation_name, carried = excluded.carried, staging_oid = excluded.staging_oid,
    newest_xid = excluded.newest_xid, snapshot_id = excluded.snapshot_id, masked = excluded.masked,
    given_up = excluded.given_up;

INSERT INTO etl.loads (run_id, table_name, status, rows, bytes, started_at, finished_at, copy_seconds,
    index_seconds, analyze_seconds, published_at, error, schema_name, relation_name, carried, staging_oid,
    newest_xid, snapshot_id, masked, given_up) VALUES ('released-1'::VARCHAR, 'public.orders'::VARCHAR,
    'staged'::VARCHAR, 300::BIGINT, 3021::BIGINT,
    '2020-01-01 17:01:02.625800+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE,
    '2020-01-01 17:01:02.872088+00:00'::timestamptz::TIMESTAMP WITH TIME ZONE, 0.172, 0.037, 0.014,
    NULL::TIMESTAMP WITH TIME ZONE, NULL::VARCHAR, 'public'::VARCHAR, 'orders'::VARCHAR, '{orders_pkey}'::TEXT[],
    16421::BIGINT, NULL::BIGINT, '00000003-00000006-1'::VARCHAR, '{}'::TEXT[], false) ON CONFLICT (run_id,
    table_name) DO UPDATE SET status = excluded.status, rows = excluded.rows, bytes = excluded.bytes,
    started_at = excluded.started_at, finished_at = excluded.finished_at, copy_seconds = excluded.copy_seconds,
    index_seconds = excluded.index_seconds, analyze_seconds = excluded.analyze_seconds,
    published_at = excluded.published_at, error = excluded.error, schema_name = excluded.schema_name,
    relation_name = excluded.relation_name, carried = excluded.carried, staging_oid = excluded.staging_oid,
    newest_xid = excluded.newest_xid, snapshot_id = excluded.snapshot_id, masked = excluded.masked,
    given_up = excluded.given_up;

UPDATE etl.loads SET status='published'::VARCHAR,
    published_at='2020-01-01 17:01:03.337095+00'::TIMESTAMP WITH TIME ZONE,
    live_oid=etl.loads.staging_oid WHERE etl.loads.run_id = 'released-1'::VARCHAR AND (etl.loads.schema_name,
    etl.loads.relation_name) IN (SELECT anon_1.schema, anon_1.name
FROM unnest('{public,public}'::TEXT[], '{items,orders}'::TEXT[]) AS anon_1(schema, name));

UPDATE etl.runs SET status='published'::VARCHAR,
    finished_at='2020-01-01 17:01:03.352761+00'::TIMESTAMP WITH TIME ZONE, tables=(SELECT count(*) AS count_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-1'::VARCHAR), rows=(SELECT sum(etl.loads.rows) AS sum_1
FROM etl.loads
WHERE etl.loads.run_id = 'released-1'::VARCHAR), bytes=(SELECT sum(etl.loads.bytes) AS sum_2
FROM etl.loads
WHERE etl.loads.run_id = 'released-1'::VARCHAR),
    error=NULL::VARCHAR WHERE etl.runs.run_id = 'released-1'::VARCHAR AND etl.runs.status IN ('running'::VARCHAR);
