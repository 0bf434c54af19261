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
       l.oid IS NOT NULL AS ledger_exists,
       coalesce(pg_catalog.has_schema_privilege(l.oid, 'USAGE'), true)
       AND coalesce((SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT')
                                                AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                                                AND pg_catalog.has_table_privilege(c.oid, 'UPDATE'))
                       FROM pg_catalog.pg_class c WHERE c.relnamespace = l.oid AND c.relkind = 'r'), true) AS may_record,
       pg_catalog.quote_ident(current_database()) AS database,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
       pg_catalog.quote_ident(current_user) AS role,
       EXISTS (SELECT FROM pg_catalog.pg_event_trigger e
                WHERE e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login') AS has_event_triggers
  FROM unnest(:'schemas'::text[], :'staging'::text[]) AS w (schema, staging)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  LEFT JOIN pg_catalog.pg_namespace l ON l.nspname = 'etl'
  LEFT JOIN pg_catalog.pg_namespace s ON s.nspname = w.staging;
