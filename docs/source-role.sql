-- The fewest privileges that the source's role needs, on PostgreSQL 13 to 18. The role can only read.
--   psql -v role=etl_reader -v schema=public -f docs/source-role.sql SHOP       (once for each schema)
-- Make the role first: CREATE ROLE etl_reader LOGIN PASSWORD '...';
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
-- For tables that are created later. Run this as the role that creates them, or add FOR ROLE.
ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
-- This prevents a write by mistake. The privileges above prevent a write by intent.
ALTER ROLE :"role" SET default_transaction_read_only = on;
-- If tables have row security, a run fails rather than copy only some of the rows. Then, as a superuser:
-- ALTER ROLE etl_reader BYPASSRLS;
-- Generated columns and views may call functions: PUBLIC has EXECUTE on them, unless you have revoked it.
