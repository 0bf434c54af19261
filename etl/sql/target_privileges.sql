-- Whether this session's role has the privileges that a run needs, one row a live schema. Target side.
-- :'schemas': the live schemas; :'staging': for each, its staging schema.
-- Try it: psql -v schemas='{public}' -v staging='{etl_staging_public}' -f target_privileges.sql
SELECT w.schema,
       w.staging,
       n.oid IS NOT NULL AS schema_exists,
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false) AS may_create_table,
       s.oid IS NOT NULL AS staging_exists,
       coalesce(pg_catalog.has_schema_privilege(s.oid, 'CREATE'), false) AS may_stage,
       pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create_schema,
       pg_catalog.to_regclass('etl.runs') IS NOT NULL AS ledger_exists,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
       current_user::text AS role,
       EXISTS (SELECT FROM pg_catalog.pg_event_trigger e
                WHERE e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login') AS has_event_triggers
  FROM unnest(:'schemas'::text[], :'staging'::text[]) AS w (schema, staging)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = w.staging;
