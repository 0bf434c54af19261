-- Those of the wanted functions, operators, operator classes, collations and the like that this database lacks, that are
-- something else here, or that this session's role may not use. Target side.
-- :'classes', :'schemas', :'names', :'arguments', :'results': what is wanted, as needs.sql names it.
-- Try it: psql -v classes='{schema}' -v schemas='{NULL}' -v names='{public}' -v arguments='{NULL}' -v results='{NULL}' -f lacking.sql
--
-- problem: what is wrong with it and what to do, after "which"; NULL if it is not there
WITH wanted AS (
    SELECT * FROM unnest(:'classes'::text[], :'schemas'::text[], :'names'::text[], :'arguments'::text[], :'results'::text[])
        AS w (class, schema, name, arguments, result)
), found (class, schema, name, arguments, result, namespace, function) AS (
    SELECT w.*, n.oid, p.oid
      FROM wanted w
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name
     WHERE w.class = 'function'
       AND array_to_string(ARRAY(SELECT pg_catalog.format_type(a.type, NULL)
                                   FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                                  ORDER BY a.position), ',') = w.arguments
    UNION ALL
    SELECT w.*, n.oid, o.oprcode
      FROM wanted w
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      JOIN pg_catalog.pg_operator o ON o.oprnamespace = n.oid AND o.oprname = w.name
     WHERE w.class = 'operator'
       AND concat_ws(',', CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END,
                     pg_catalog.format_type(o.oprright, NULL)) = w.arguments
    UNION ALL
    SELECT w.*, n.oid, NULL
      FROM wanted w
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
     WHERE CASE w.class
         WHEN 'operator class' THEN EXISTS (
             SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod
              WHERE o.opcnamespace = n.oid AND o.opcname = w.name AND a.amname = w.arguments)
         WHEN 'access method' THEN EXISTS (SELECT FROM pg_catalog.pg_am a WHERE a.amname = w.name)
         WHEN 'schema' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace s WHERE s.nspname = w.name)
         WHEN 'collation' THEN EXISTS (
             SELECT FROM pg_catalog.pg_collation c
              WHERE c.collnamespace = n.oid AND c.collname = w.name
                AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_catalog.pg_database d
                                             WHERE d.datname = current_database())))
         WHEN 'text search configuration' THEN EXISTS (
             SELECT FROM pg_catalog.pg_ts_config c WHERE c.cfgnamespace = n.oid AND c.cfgname = w.name)
         WHEN 'text search dictionary' THEN EXISTS (
             SELECT FROM pg_catalog.pg_ts_dict d WHERE d.dictnamespace = n.oid AND d.dictname = w.name)
         WHEN 'relation' THEN EXISTS (
             SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = w.name)
         WHEN 'type' THEN EXISTS (
             SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid AND t.typname = w.name)
         ELSE false END
), there AS (
    SELECT f.*,
           (SELECT CASE WHEN p.prokind = 'p' THEN 'procedure'
                        ELSE concat_ws(' ', CASE p.prokind WHEN 'a' THEN 'aggregate' ELSE 'function' END, 'returning',
                                       pg_catalog.pg_get_function_result(p.oid)) END
              FROM pg_catalog.pg_proc p WHERE p.oid = f.function AND f.class = 'function') AS present
      FROM found f
), judged AS (
    SELECT w.*, t.class IS NOT NULL AS is_there,
           CASE WHEN NOT pg_catalog.has_schema_privilege(t.namespace, 'USAGE')
                THEN format('is in schema %s of the target, which %s may not use; GRANT USAGE ON SCHEMA %I TO %I',
                            quote_ident(w.schema), current_user, w.schema, current_user)
                WHEN t.present <> w.result
                THEN format('is another one in the target (%s) than in the source (%s); make it the same', t.present, w.result)
                WHEN NOT pg_catalog.has_function_privilege(t.function, 'EXECUTE')
                THEN format('%s may not call in the target; GRANT EXECUTE ON FUNCTION %s TO %I', current_user,
                            t.function::pg_catalog.regprocedure, current_user) END AS problem
      FROM wanted w
      LEFT JOIN there t
        ON (t.class, t.schema, t.name, t.arguments, t.result) = (w.class, w.schema, w.name, w.arguments, w.result)
)
SELECT j.class, j.schema, j.name, j.arguments, j.result, j.problem
  FROM judged j
 WHERE NOT j.is_there OR j.problem IS NOT NULL;
