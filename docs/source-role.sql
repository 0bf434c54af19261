-- The least that the source's role needs, on PostgreSQL 13 to 18. It can read, and nothing else.
--   psql -v role=etl_reader -v schema=public -f docs/source-role.sql SHOP       (once for each schema)
-- Make the role first: CREATE ROLE etl_reader LOGIN PASSWORD '...';
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
-- What is made later; of the role that makes it, so run this as that role, or add FOR ROLE.
ALTER DEFAULT PRIVILEGES IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
-- A session cannot be made to write by mistake; the privileges above are what holds against intent.
ALTER ROLE :"role" SET default_transaction_read_only = on;
-- Where tables have row security, a run fails rather than copy some of the rows. Then, as a superuser:
-- ALTER ROLE etl_reader BYPASSRLS;
-- Expressions of generated columns and views may call functions: PUBLIC has EXECUTE unless you have taken it away.
