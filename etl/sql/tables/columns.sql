-- The columns of tables and views, as CREATE TABLE and ALTER TABLE define them; NOT NULL is in nullability.sql.
-- Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/columns.sql
--
-- user_type: the type's schema and name if it is not a type of PostgreSQL's: the type has to exist before the table.
-- collation, storage, compression, statistics: NULL where the column has the default.
SELECT a.attrelid AS oid,
       a.attnum AS position,
       a.atttypid AS type_oid,
       a.attname AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
          FROM pg_catalog.pg_collation co
          JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
         WHERE co.oid = a.attcollation AND a.attcollation <> t.typcollation) AS collation,
       pg_catalog.col_description(a.attrelid, a.attnum) AS comment,
       (SELECT ARRAY[un.nspname::text, t.typname::text]
          FROM pg_catalog.pg_namespace un
         WHERE un.oid = t.typnamespace AND t.oid >= 16384) AS user_type,
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
       END AS storage,
       -- PostgreSQL 13 has no compression; '' and NULL are the default
       CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       nullif(greatest(to_jsonb(a) ->> 'attstattarget', '-1')::int, -1) AS statistics
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = ANY (:'oids'::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped;
