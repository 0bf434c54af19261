-- The unlogged tables that tables and views read, if this server is a standby: it has none of their rows. Source side.
-- :'oids': the tables and views.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f unlogged.sql
WITH RECURSIVE read (root, oid) AS (
    SELECT o.oid, o.oid FROM unnest(:'oids'::pg_catalog.oid[]) AS o (oid) WHERE pg_catalog.pg_is_in_recovery()
    UNION
    SELECT r.root, n.oid
      FROM read r
     CROSS JOIN LATERAL (
           SELECT i.inhrelid AS oid FROM pg_catalog.pg_inherits i WHERE i.inhparent = r.oid
           UNION ALL
           SELECT d.refobjid
             FROM pg_catalog.pg_rewrite w
             JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.relkind = 'v'
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
              AND d.refclassid = 'pg_catalog.pg_class'::regclass
            WHERE w.ev_class = r.oid) AS n
)
SELECT r.root AS oid, r.oid::pg_catalog.regclass::text AS name
  FROM read r
  JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind = 'r' AND c.relpersistence = 'u'
 ORDER BY 1, 2;
