-- Collations that are not PostgreSQL's own, as the statements that create them. Both sides.
-- :'schemas', :'names': the collations.
-- Try it: psql -v schemas='{public}' -v names='{german}' -f collations.sql
SELECT n.nspname::text AS schema, c.collname::text AS name,
       format('CREATE COLLATION %I.%I (%s)', n.nspname, c.collname, concat_ws(', ',
           CASE c.collprovider WHEN 'i' THEN 'PROVIDER = icu' WHEN 'b' THEN 'PROVIDER = builtin' ELSE 'PROVIDER = libc' END,
           -- PostgreSQL 13 and 14 have an ICU locale in collcollate, 15 and 16 in colliculocale, 17 in colllocale
           CASE WHEN c.collprovider = 'c' THEN format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
                ELSE format('LOCALE = %L', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                                                    c.collcollate)) END,
           CASE WHEN NOT c.collisdeterministic THEN 'DETERMINISTIC = false' END,
           'RULES = ' || quote_literal(to_jsonb(c) ->> 'collicurules'))) AS statement
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_collation c ON c.collnamespace = n.oid AND c.collname = w.name
   AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
 ORDER BY 1, 2;
