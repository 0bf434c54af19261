-- The relations and extended statistics that have a name which arriving tables bring, and the types that have the name of
-- an arriving table or of the array type that belongs to one. Target side.
-- :'kinds', :'schemas', :'names': the names that arrive, each of a "relation", of "statistics" or of a "type".
-- Try it: psql -v kinds='{relation}' -v schemas='{public}' -v names='{orders_pkey}' -f names.sql
--
-- what: the present owner of the name, for people; table_oid: the table or view with which it would be moved aside
SELECT w.kind, w.schema, w.name,
       CASE c.relkind WHEN 'i' THEN 'an index' WHEN 'I' THEN 'an index' WHEN 'S' THEN 'a sequence' WHEN 'v' THEN 'a view'
                      WHEN 'm' THEN 'a materialized view' WHEN 'c' THEN 'a type' WHEN 'f' THEN 'a foreign table'
                      ELSE 'a table' END
         || coalesce(' of ' || i.indrelid::pg_catalog.regclass, '') AS what,
       coalesce(i.indrelid, c.oid) AS table_oid
  FROM unnest(:'kinds'::text[], :'schemas'::text[], :'names'::text[]) AS w (kind, schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
 WHERE w.kind = 'relation'
UNION ALL
SELECT w.kind, w.schema, w.name, 'statistics of ' || s.stxrelid::pg_catalog.regclass, s.stxrelid
  FROM unnest(:'kinds'::text[], :'schemas'::text[], :'names'::text[]) AS w (kind, schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = w.name
 WHERE w.kind = 'statistics'
UNION ALL
SELECT w.kind, w.schema, w.name,
       CASE WHEN e.oid IS NOT NULL THEN 'the array type of ' || pg_catalog.format_type(e.oid, NULL)
            WHEN r.relkind <> 'c' THEN 'the row type of ' || r.oid::pg_catalog.regclass
            ELSE 'a type' END,
       coalesce((SELECT o.oid FROM pg_catalog.pg_class o
                  WHERE o.oid = coalesce(nullif(t.typrelid, 0), e.typrelid) AND o.relkind <> 'c'), 0)
  FROM unnest(:'kinds'::text[], :'schemas'::text[], :'names'::text[]) AS w (kind, schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name
  LEFT JOIN pg_catalog.pg_class r ON r.oid = t.typrelid
  LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid
 WHERE w.kind = 'type';
