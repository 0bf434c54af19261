-- Live tables whose rows are to be replaced in place, and the objects that act on a change of their rows. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f in_place.sql
--
-- on_delete:    foreign keys that refer to the table, triggers and rules ON DELETE, also those of its partitions: for
--               them, a row that is deleted and inserted again is deleted
-- side_effects: triggers, rules, and the actions of foreign keys from or to the table: they may change the rows
--
-- An object that is disabled, or that fires on a replica only, is in neither column.
WITH RECURSIVE relation (root, oid) AS (
    SELECT c.oid, c.oid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::pg_catalog.text[], :'names'::pg_catalog.text[]))
       AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT r.root, i.inhrelid
      FROM relation r
      JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
), session AS (
    SELECT CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END AS mode
), around AS (
    SELECT r.root, k.oid AS id, 'pg_catalog.pg_constraint'::pg_catalog.regclass AS catalog,
           k.confrelid = r.oid AS is_on_delete,
           -- an action changes the rows that refer, and the triggers on them may change any row
           k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd') AS has_side_effects
      FROM relation r
      JOIN pg_catalog.pg_constraint k ON r.oid IN (k.conrelid, k.confrelid) AND k.contype = 'f'
    UNION ALL
    SELECT r.root, t.oid, 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.tgtype & 8 <> 0, true
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgenabled IN ('A', s.mode)
       -- before PostgreSQL 15, a partition's copy of its parent's trigger is internal, like a foreign key's triggers
       AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
    UNION ALL
    SELECT r.root, w.oid, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.ev_type = '4', true
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid AND w.ev_enabled IN ('A', s.mode)
)
SELECT c.oid,
       n.nspname::pg_catalog.text AS schema,
       c.relname::pg_catalog.text AS name,
       c.relkind::pg_catalog.text AS kind,
       ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(a.catalog, a.id, 0)
               FROM around a WHERE a.root = c.oid AND a.is_on_delete ORDER BY 1) AS on_delete,
       ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(a.catalog, a.id, 0)
               FROM around a WHERE a.root = c.oid AND a.has_side_effects ORDER BY 1) AS side_effects
  FROM relation r
  JOIN pg_catalog.pg_class c ON c.oid = r.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE r.oid = r.root
 ORDER BY 2, 3;
