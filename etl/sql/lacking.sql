-- Those of the wanted functions, operators, operator classes, collations and the like that this database lacks.
-- Target side.
-- :'classes', :'schemas', :'names', :'arguments': what is wanted, as needs.sql names it.
-- Try it: psql -v classes='{function}' -v schemas='{public}' -v names='{f}' -v arguments='{integer}' -f lacking.sql
SELECT w.class, w.schema, w.name, w.arguments
  FROM unnest(:'classes'::text[], :'schemas'::text[], :'names'::text[], :'arguments'::text[])
         AS w (class, schema, name, arguments)
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
 WHERE NOT CASE w.class
     WHEN 'function' THEN EXISTS (
         SELECT FROM pg_catalog.pg_proc p
          WHERE p.pronamespace = n.oid AND p.proname = w.name
            AND array_to_string(ARRAY(SELECT pg_catalog.format_type(a.type, NULL)
                                        FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                                       ORDER BY a.position), ',') = w.arguments)
     WHEN 'operator' THEN EXISTS (
         SELECT FROM pg_catalog.pg_operator o
          WHERE o.oprnamespace = n.oid AND o.oprname = w.name
            AND concat_ws(',', CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END,
                          pg_catalog.format_type(o.oprright, NULL)) = w.arguments)
     WHEN 'operator class' THEN EXISTS (
         SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod
          WHERE o.opcnamespace = n.oid AND o.opcname = w.name AND a.amname = w.arguments)
     WHEN 'access method' THEN EXISTS (SELECT FROM pg_catalog.pg_am a WHERE a.amname = w.name)
     WHEN 'collation' THEN EXISTS (
         SELECT FROM pg_catalog.pg_collation c
          WHERE c.collnamespace = n.oid AND c.collname = w.name
            AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_catalog.pg_database d WHERE d.datname = current_database())))
     WHEN 'text search configuration' THEN EXISTS (
         SELECT FROM pg_catalog.pg_ts_config c WHERE c.cfgnamespace = n.oid AND c.cfgname = w.name)
     WHEN 'text search dictionary' THEN EXISTS (
         SELECT FROM pg_catalog.pg_ts_dict d WHERE d.dictnamespace = n.oid AND d.dictname = w.name)
     WHEN 'relation' THEN EXISTS (
         SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = w.name)
     WHEN 'type' THEN EXISTS (
         SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid AND t.typname = w.name)
     ELSE false END;
