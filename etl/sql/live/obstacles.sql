-- The objects because of which a live table or view cannot be replaced: they depend on it, or it belongs to them. Other
-- sessions' temporary objects are left out: they are in temporary.sql. Target side.
-- :'objects': the live tables and views.
-- Try it: psql -v objects="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f live/obstacles.sql
WITH object AS (
    SELECT o.oid FROM unnest(:'objects'::pg_catalog.oid[]) AS o (oid)
), part AS (
    -- the parts on which another object may depend: the table or view, its row type, and the array type of that
    SELECT oid, 'pg_catalog.pg_class'::regclass AS classid, oid AS objid FROM object
    UNION ALL
    SELECT f.oid, 'pg_catalog.pg_type'::regclass, t.id
      FROM object f
      JOIN pg_catalog.pg_class c ON c.oid = f.oid
      JOIN pg_catalog.pg_type y ON y.oid = c.reltype
     CROSS JOIN LATERAL unnest(ARRAY[y.oid, y.typarray]) AS t (id)
)
SELECT p.oid, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS what
  FROM part p
  JOIN pg_catalog.pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid AND d.deptype = 'n'
    -- the publish replaces its tables and views together, with their rules
 WHERE NOT (d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid IN (
            SELECT r.oid FROM pg_catalog.pg_rewrite r JOIN object v ON v.oid = r.ev_class))
   AND NOT (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid IN (SELECT oid FROM object))
   AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
        WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
          AND pg_catalog.pg_is_other_temp_schema(v.relnamespace)
        UNION ALL
       SELECT FROM pg_catalog.pg_class c
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objid
          AND pg_catalog.pg_is_other_temp_schema(c.relnamespace)
        UNION ALL
       SELECT FROM pg_catalog.pg_proc f
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND f.oid = d.objid
          AND pg_catalog.pg_is_other_temp_schema(f.pronamespace)
        UNION ALL
       SELECT FROM pg_catalog.pg_type t
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
          AND pg_catalog.pg_is_other_temp_schema(t.typnamespace))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o
                    WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype IN ('a', 'i')
                      AND o.refclassid = 'pg_catalog.pg_class'::regclass
                      AND o.refobjid IN (SELECT oid FROM object))
UNION
SELECT f.oid, 'extension ' || quote_ident(e.extname) || ', which it belongs to'
  FROM object f
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = f.oid AND d.deptype = 'e'
  JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
UNION
SELECT f.oid, 'the table that it is a partition or an inheritance child of'
  FROM object f
  JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.oid
UNION
-- a constraint trigger of another table, FROM this one: dropped with this table
SELECT f.oid, pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::regclass, t.oid, 0)
  FROM object f
  JOIN pg_catalog.pg_trigger t ON t.tgconstrrelid = f.oid AND t.tgrelid <> f.oid AND NOT t.tgisinternal
UNION
-- pg_publication_tables has those FOR TABLES IN SCHEMA, too; of one FOR ALL TABLES `etl check` warns
SELECT f.oid, 'publication ' || quote_ident(t.pubname) || ' (its subscribers hear of changed rows only)' AS what
  FROM pg_catalog.pg_publication p
  JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
  JOIN object f ON f.oid = c.oid
 WHERE NOT p.puballtables
UNION
SELECT f.oid, 'a subscription, which fills it'
  FROM object f JOIN pg_catalog.pg_subscription_rel s ON s.srrelid = f.oid;
