-- The least that the target's role needs, on PostgreSQL 13 to 18.
--   psql -v role=etl_loader -v schema=public -v database=reporting -f docs/target-role.sql reporting  (for each schema)
-- Make the role first: CREATE ROLE etl_loader LOGIN PASSWORD '...';
-- CREATE on the database: for the schemas etl, etl_staging_... and etl_stagingold_.... It may be revoked after a first run
-- of all schemas; then a table of a new schema needs it again.
GRANT CONNECT, CREATE ON DATABASE :"database" TO :"role";
-- CREATE on each live schema: the publish moves tables into it.
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"role";
-- It must own the live tables that are there already, and the views on them, or be a member of the role that does:
-- GRANT reporting_owner TO etl_loader;
-- Then that owner needs CREATE on the schema, too: PostgreSQL wants it of whom a table is given to.
-- To name who is in the way with the time of their query, and to end them (ETL_PUBLISH_BLOCKERS=end):
-- GRANT pg_read_all_stats, pg_signal_backend TO etl_loader;
