-- The extensions that this database has or could have: the schema of each that is installed. Target side.
-- :'names': the extensions.
-- Try it: psql -v names='{plpgsql}' -f extension_places.sql
SELECT a.name::text AS name,
       (SELECT n.nspname::text
          FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
         WHERE x.extname = a.name) AS schema
  FROM pg_catalog.pg_available_extensions a
 WHERE a.name = ANY (:'names'::text[]);
