-- The files of materialized views' rows: a refresh that is not concurrent makes a new one. Target side.
-- :'oids': the materialized views.
-- Try it: psql -v oids="{$(psql -Atc "SELECT max(oid) FROM pg_class WHERE relkind = 'm'")}" -f stored_files.sql
SELECT m.oid::int8 AS oid, pg_catalog.pg_relation_filenode(m.oid)::int8 AS file
  FROM unnest(:'oids'::pg_catalog.oid[]) AS m (oid);
