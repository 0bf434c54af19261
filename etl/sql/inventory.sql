-- One number for tables and views with all attachments and all that refers to them: it changes as soon as a session
-- commits a change of any of these. Target side.
-- :'oids': the live tables and views; :'schemas', :'names': the tables of the publish, whether they exist or not.
-- Try it:
--   psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -v schemas='{public}' -v names='{orders}' -f inventory.sql
--
-- A row of a catalog counts by its version (xmin), so that no kind of change has to be listed here. VACUUM, ANALYZE and
-- CREATE INDEX write row estimates in place, which changes no version. Of columns, only privileges and defaults count:
-- everything else comes from the source. The rows of a materialized view count as the cumulative statistics have them,
-- because REFRESH ... CONCURRENTLY changes nothing else; the statistics may be seconds late.
WITH object AS MATERIALIZED (
    SELECT c.oid, c.relnamespace, c.reltype, c.relkind, c.xmin
      FROM pg_catalog.pg_class c
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
), part (classid, objid, version) AS MATERIALIZED (
    SELECT 'pg_catalog.pg_class'::regclass::oid, o.oid, o.xmin FROM object o
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.xmin
      FROM object o
      JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
      JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    UNION ALL
    SELECT 'pg_catalog.pg_index'::regclass, i.indexrelid, i.xmin
      FROM object o JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, d.xmin
      FROM object o JOIN pg_catalog.pg_attrdef d ON d.adrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, k.xmin
      FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, t.xmin
      FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid, p.xmin
      FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, r.xmin
      FROM object o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, s.oid, s.xmin
      FROM object o JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_publication_rel'::regclass, r.oid, r.xmin
      FROM object o JOIN pg_catalog.pg_publication_rel r ON r.prrelid = o.oid
), version AS (
    SELECT concat_ws(' ', p.classid, p.objid, p.version) AS what FROM part p
    UNION ALL
    SELECT concat_ws(' ', 'comment', d.classoid, d.objoid, d.objsubid, d.xmin)
      FROM part p JOIN pg_catalog.pg_description d ON d.objoid = p.objid AND d.classoid = p.classid
    UNION ALL
    SELECT concat_ws(' ', 'label', l.objoid, l.objsubid, l.provider, l.label)
      FROM object o JOIN pg_catalog.pg_seclabel l ON l.objoid = o.oid AND l.classoid = 'pg_catalog.pg_class'::regclass
    UNION ALL
    SELECT concat_ws(' ', 'privilege', a.attrelid, a.attnum, a.xmin)
      FROM object o JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attacl IS NOT NULL
    UNION ALL
    SELECT concat_ws(' ', 'child', i.inhrelid, i.inhparent, i.inhseqno)
      FROM object o JOIN pg_catalog.pg_inherits i ON i.inhparent = o.oid OR i.inhrelid = o.oid
    UNION ALL
    -- the objects that depend on a table or view, on its row type, or on the array type of that
    SELECT concat_ws(' ', 'refers', d.classid, d.objid, d.objsubid, d.refobjid, d.refobjsubid, d.deptype)
      FROM object o
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = o.oid
    UNION ALL
    SELECT concat_ws(' ', 'refers', d.classid, d.objid, d.objsubid, d.refobjid, d.refobjsubid, d.deptype)
      FROM object o
      JOIN pg_catalog.pg_type t ON t.oid = o.reltype
     CROSS JOIN LATERAL (VALUES (t.oid), (t.typarray)) AS row_type (oid)
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid = row_type.oid
    UNION ALL
    -- the extension that it belongs to or depends on; subscriptions; publications of its schema (since PostgreSQL 15)
    SELECT concat_ws(' ', 'extension', d.objid, d.refobjid, d.deptype)
      FROM object o
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = o.oid
       AND d.deptype IN ('e', 'x')
    UNION ALL
    SELECT concat_ws(' ', 'subscription', s.srrelid, s.srsubid)
      FROM object o JOIN pg_catalog.pg_subscription_rel s ON s.srrelid = o.oid
    UNION ALL
    SELECT concat_ws(' ', 'publication', d.objid, d.refobjid)
      FROM pg_catalog.pg_depend d
     WHERE d.classid = pg_catalog.to_regclass('pg_catalog.pg_publication_namespace')
       AND d.refclassid = 'pg_catalog.pg_namespace'::regclass
       AND d.refobjid IN (SELECT o.relnamespace FROM object o)
    UNION ALL
    SELECT concat_ws(' ', 'rows', o.oid, pg_catalog.pg_stat_get_tuples_inserted(o.oid),
                     pg_catalog.pg_stat_get_tuples_updated(o.oid), pg_catalog.pg_stat_get_tuples_deleted(o.oid))
      FROM object o WHERE o.relkind = 'm'
    UNION ALL
    -- the relations that have the names now
    SELECT concat_ws(' ', 'name', c.oid)
      FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
)
SELECT concat_ws(' ', count(*), sum(pg_catalog.hashtextextended(v.what, 0))) AS inventory FROM version v;
