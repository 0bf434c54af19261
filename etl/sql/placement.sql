-- The tablespace and the table access method of live tables, as far as they are not those that a new table gets. Target
-- side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f placement.sql
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       nullif(coalesce(t.spcname, d.spcname), coalesce(nullif(current_setting('default_tablespace'), ''), d.spcname))::text
         AS tablespace,
       nullif(m.amname, current_setting('default_table_access_method'))::text AS method
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'r'
  JOIN pg_catalog.pg_am m ON m.oid = c.relam
  JOIN pg_catalog.pg_database b ON b.datname = current_database()
  JOIN pg_catalog.pg_tablespace d ON d.oid = b.dattablespace
  LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace;
