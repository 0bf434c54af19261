-- How the types of tables' columns are copied and hashed, one row a type. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/column_types.sql
--
-- binary: the type's bytes mean the same on every server, so that COPY may be binary. That holds for pg_catalog's own
-- types (their oids, below 10000, are assigned by hand and never change: access/transam.h), for enums (sent as their
-- label) and for domains over either. It does not hold for arrays, ranges and rows of user types (their oids are part
-- of the value), nor for int2vector, oidvector and tsquery (their receive functions refuse an empty one as it is sent).
-- names_objects: values contain oids of this server's own objects: a reg* type's, or an aclitem's roles. As text they
-- are names, which the target would look up while the next tables are still in staging.
-- hashed_as: the type whose bytes go into the checksum: the built-in one on which a domain rests, else text; NULL for
-- the type itself.
WITH RECURSIVE resolved AS (
    -- a domain may rest on a domain
    SELECT DISTINCT a.atttypid AS oid, a.atttypid AS base
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ANY (:'oids'::pg_catalog.oid[])
       AND EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid)  -- a dropped column has none
    UNION ALL
    SELECT r.oid, t.typbasetype
      FROM resolved r
      JOIN pg_catalog.pg_type t ON t.oid = r.base
     WHERE t.typtype = 'd'
), base_type AS (
    SELECT r.oid,
           r.base,
           t.typtype = 'e' AS is_enum,
           t.oid < 10000 AND e.typtype <> 'c' AND e.typsend <> 0 AND e.typreceive <> 0
             AND e.typname !~ '^(int2vector$|oidvector$|tsquery$)' AS is_builtin
      FROM resolved r
      JOIN pg_catalog.pg_type t ON t.oid = r.base AND t.typtype <> 'd'
      -- an array is what its elements are
      JOIN pg_catalog.pg_type e
        ON e.oid = CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_type i WHERE i.oid = t.typelem AND i.typarray = t.oid)
                        THEN t.typelem ELSE t.oid END
), contained AS (
    -- each type, and all types that its values contain: a domain's base type, elements, fields, bounds
    SELECT DISTINCT r.oid AS root, r.oid FROM resolved r
    UNION
    SELECT c.root, inner_type.oid
      FROM contained c
      JOIN pg_catalog.pg_type t ON t.oid = c.oid
     CROSS JOIN LATERAL (
               SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
               UNION ALL
               SELECT t.typelem WHERE t.typelem <> 0
               UNION ALL
               SELECT a.atttypid FROM pg_catalog.pg_attribute a
                WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
               UNION ALL
               SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
               UNION ALL
               -- PostgreSQL 13 has no multiranges
               SELECT r.rngtypid FROM pg_catalog.pg_range r
                WHERE t.typtype = 'm' AND (to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid = t.oid) AS inner_type
), naming AS (
    SELECT DISTINCT c.root AS oid
      FROM contained c
      JOIN pg_catalog.pg_type t ON t.oid = c.oid
     WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname ~ '^(reg|aclitem$)'
)
SELECT b.oid AS type_oid,
       b.is_builtin OR b.is_enum AS binary,
       b.oid IN (SELECT n.oid FROM naming n) AS names_objects,
       CASE WHEN NOT b.is_builtin THEN 'text'
            WHEN b.base <> b.oid THEN pg_catalog.format_type(b.base, -1) END AS hashed_as
  FROM base_type b;
