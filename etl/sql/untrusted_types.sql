-- The untrusted types that a table's columns depend on, directly or through other types: those that belong neither to
-- this session's role nor to a superuser. The owner of a domain may add a constraint to it at any time, and the owner
-- of a type a cast. Target side.
-- :'oid': the staging table.
-- Try it: psql -v oid="$(psql -Atc "SELECT 'orders'::regclass::oid")" -f untrusted_types.sql
WITH RECURSIVE used (oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = :'oid'::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT n.oid
      FROM used u
      JOIN pg_catalog.pg_type t ON t.oid = u.oid
     CROSS JOIN LATERAL (
           SELECT t.typbasetype AS oid
           UNION ALL
           SELECT t.typelem
           UNION ALL
           SELECT a.atttypid FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
           UNION ALL
           SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
           UNION ALL  -- multiranges; PostgreSQL 13 has none
           SELECT r.rngtypid FROM pg_catalog.pg_range r
            WHERE (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid = t.oid) AS n
     WHERE n.oid <> 0
)
SELECT pg_catalog.format_type(t.oid, NULL) AS type, r.rolname::text AS owner, current_user::text AS role
  FROM used u
  JOIN pg_catalog.pg_type t ON t.oid = u.oid
  JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
 WHERE NOT r.rolsuper AND r.rolname <> current_user
 ORDER BY 1;
