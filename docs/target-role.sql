-- The least that the target's role needs, on PostgreSQL 13 to 18.
--   psql -v role=etl_loader -v schema=public -v database=reporting -f docs/target-role.sql reporting  (for each schema)
-- Make the role first: CREATE ROLE etl_loader LOGIN PASSWORD '...';
-- CREATE on the database: for the schemas etl, etl_staging_... and etl_stagingold_.... It may be revoked after a first run
-- of all schemas; then a table of a new schema needs it again.
GRANT CONNECT, CREATE ON DATABASE :"database" TO :"role";
-- CREATE on each live schema: the publish moves tables into it.
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"role";
-- It must own the live tables that are there before their first night, for what its role finds there it would trust;
-- hand them over: ALTER TABLE orders OWNER TO etl_loader;
-- So must it own the schemas etl, etl_staging_... and etl_stagingold_..., where they are made beforehand:
-- CREATE SCHEMA etl AUTHORIZATION etl_loader;
-- After a table's first night another role may own it, and the views on it, if the loader is a member of that role:
-- GRANT reporting_owner TO etl_loader;
-- Then that owner needs CREATE on the schema, too: PostgreSQL wants it of whom a table is given to. Materialized views
-- are filled with their owner's rights: the owner needs SELECT on what they read.
-- Functions that the source's indexes and checks, or the target's checks, call must belong to the loader or a superuser.
-- To name who is in the way with the time of their query, and to end them (ETL_PUBLISH_BLOCKERS=end):
-- GRANT pg_read_all_stats, pg_signal_backend TO etl_loader;
