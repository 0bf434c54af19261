-- User-defined types, and all types that they depend on, as the statements that create them. Both sides.
-- :'schemas', :'names': the types.
--
-- asked_schemas, asked_names: those of the asked types that are, or depend on, this one.
-- Try it: psql -v schemas='{public}' -v names='{mood}' -f types.sql
WITH RECURSIVE edge AS (
    -- a type, and a type on which it depends
    SELECT t.oid, t.typbasetype AS needs FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
    UNION ALL
    SELECT t.oid, a.atttypid
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE t.typtype = 'c'
    UNION ALL
    SELECT r.rngtypid, r.rngsubtype FROM pg_catalog.pg_range r
    UNION ALL
    -- PostgreSQL 13 has no multiranges
    SELECT (to_jsonb(r) ->> 'rngmultitypid')::oid, r.rngtypid
      FROM pg_catalog.pg_range r WHERE to_jsonb(r) ->> 'rngmultitypid' IS NOT NULL
    UNION ALL
    SELECT t.typarray, t.oid FROM pg_catalog.pg_type t WHERE t.typarray <> 0
), wanted AS (
    SELECT t.oid, n.nspname, t.typname
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE (n.nspname, t.typname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
), needed AS (
    SELECT w.oid FROM wanted w
    UNION
    SELECT e.needs FROM edge e JOIN needed n ON n.oid = e.oid
), reached AS (
    -- each needed type, and all types on which it depends
    SELECT n.oid, n.oid AS rests_on FROM needed n
    UNION
    SELECT r.oid, e.needs FROM reached r JOIN edge e ON e.oid = r.rests_on
), asked AS (
    SELECT r.rests_on AS oid, array_agg(w.nspname::text ORDER BY w.nspname, w.typname) AS schemas,
           array_agg(w.typname::text ORDER BY w.nspname, w.typname) AS names
      FROM reached r JOIN wanted w ON w.oid = r.oid
     GROUP BY r.rests_on
)
SELECT n.nspname::text AS schema,
       t.typname::text AS name,
       a.schemas AS asked_schemas,
       a.names AS asked_names,
       t.typtype::text AS kind,
       x.extname::text AS extension,
       (SELECT xn.nspname::text FROM pg_catalog.pg_namespace xn WHERE xn.oid = x.extnamespace) AS extension_schema,
       t.typtype = 'c' AND (SELECT c.relkind <> 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid) AS is_row_type,
       ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e
              WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       CASE t.typtype
           WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
               (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                  FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
           WHEN 'c' THEN format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
               (SELECT string_agg(format('%I %s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                          (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname)
                             FROM pg_catalog.pg_collation co
                             JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                             JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid
                            WHERE co.oid = a.attcollation AND a.attcollation <> ty.typcollation)), ', ' ORDER BY a.attnum)
                  FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
           WHEN 'd' THEN format('CREATE DOMAIN %I.%I AS %s%s%s%s%s', n.nspname, t.typname,
               pg_catalog.format_type(t.typbasetype, t.typtypmod),
               (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname)
                  FROM pg_catalog.pg_collation co
                  JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                  JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
                 WHERE co.oid = t.typcollation AND t.typcollation <> b.typcollation),
               -- not typdefault: it is the text of CREATE DOMAIN, with names under the search_path of that time
               ' DEFAULT ' || pg_catalog.pg_get_expr(t.typdefaultbin, 0),
               CASE WHEN t.typnotnull THEN ' NOT NULL' END,
               -- CREATE DOMAIN has no NOT VALID, and a new domain has no values that it would be about
               (SELECT string_agg(format(' CONSTRAINT %I %s', k.conname,
                                         regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '')), ''
                                  ORDER BY k.conname)
                  FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
           WHEN 'r' THEN format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s%s%s%s%s%s)', n.nspname, t.typname,
               pg_catalog.format_type(r.rngsubtype, NULL),
               (SELECT format(', SUBTYPE_OPCLASS = %I.%I', on_.nspname, oc.opcname)
                  FROM pg_catalog.pg_opclass oc JOIN pg_catalog.pg_namespace on_ ON on_.oid = oc.opcnamespace
                 WHERE oc.oid = r.rngsubopc AND NOT oc.opcdefault),
               (SELECT format(', COLLATION = %I.%I', cn.nspname, co.collname)
                  FROM pg_catalog.pg_collation co
                  JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                  JOIN pg_catalog.pg_type b ON b.oid = r.rngsubtype
                 WHERE co.oid = r.rngcollation AND r.rngcollation <> b.typcollation),
               (SELECT format(', CANONICAL = %I.%I', pn.nspname, p.proname)
                  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
                 WHERE p.oid = r.rngcanonical),
               (SELECT format(', SUBTYPE_DIFF = %I.%I', pn.nspname, p.proname)
                  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
                 WHERE p.oid = r.rngsubdiff),
               (SELECT format(', MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, m.typname)
                  FROM pg_catalog.pg_type m JOIN pg_catalog.pg_namespace mn ON mn.oid = m.typnamespace
                 WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid))
       END AS statement
  FROM needed d
  JOIN pg_catalog.pg_type t ON t.oid = d.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  JOIN asked a ON a.oid = t.oid
  LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
  LEFT JOIN pg_catalog.pg_depend dx ON dx.classid = 'pg_catalog.pg_type'::regclass AND dx.objid = t.oid
   AND dx.refclassid = 'pg_catalog.pg_extension'::regclass AND dx.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension x ON x.oid = dx.refobjid
 WHERE t.oid >= 16384
   -- PostgreSQL creates array types and multirange types with their base types
   AND t.typtype <> 'm'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
 ORDER BY (SELECT count(*) FROM reached WHERE reached.oid = t.oid), 1, 2;
