-- Live tables into which rows are to be merged, and the objects that act on a change of their rows. Target side.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f in_place.sql
--
-- fires:        triggers and rules that act on the rows, also those of its partitions
-- acts:         for these, a row that is deleted and inserted again is deleted: triggers and rules ON DELETE, and the
--               foreign keys with an action that refer to the table
-- acting:       the same foreign keys: what they are, the index (its oid) and the columns to which they refer, and when
--               they act
-- side_effects: triggers, rules, and the actions of foreign keys from or to the table: they may change the rows
-- has_rules:    a rule rewrites statements, and the server does not allow that within WITH
-- columns:      name; given: who gives the value (generated, always: an identity, or empty); kind: the kind of type, of
--               a domain that of its base (number, text, time, and others, or empty); is_nullable; is_referred_to: by a
--               foreign key
-- referred_by:  the tables whose foreign keys refer to it
-- restricting:  those of these keys that are RESTRICT: the name of each, and the table that has it
--
-- An object that is disabled, or that fires on a replica only, is in none of them.
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
), foreign_key AS (
    SELECT r.root, k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, k.confkey, k.conindid, k.conparentid,
           k.conrelid = r.oid AS is_from, k.confrelid = r.oid AS is_to, k.confdeltype, k.confupdtype
      FROM relation r
      JOIN pg_catalog.pg_constraint k ON r.oid IN (k.conrelid, k.confrelid) AND k.contype = 'f'
), around AS (
    SELECT k.root, k.oid AS id, 'pg_catalog.pg_constraint'::pg_catalog.regclass AS catalog, false AS fires,
           k.is_to AND (k.confdeltype <> 'a' OR k.confupdtype <> 'a') AS acts,
           -- an action changes the rows that refer, and the triggers on them may change any row
           k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd') AS has_side_effects
      FROM foreign_key k
    UNION ALL
    SELECT r.root, t.oid, 'pg_catalog.pg_trigger'::pg_catalog.regclass, true, t.tgtype & 8 <> 0, true
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgenabled IN ('A', s.mode)
       AND t.tgtype & (4 | 8 | 16) <> 0 -- INSERT, DELETE, UPDATE
       -- before PostgreSQL 15, a partition's copy of its parent's trigger is internal, like a foreign key's triggers
       AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
    UNION ALL
    SELECT r.root, w.oid, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, true, w.ev_type = '4', true
      FROM session s
     CROSS JOIN relation r
      JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid AND w.ev_enabled IN ('A', s.mode)
), named AS (
    SELECT c.oid, pg_catalog.jsonb_build_object('schema', n.nspname, 'name', c.relname) AS name
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid IN (SELECT k.conrelid FROM foreign_key k UNION ALL SELECT r.root FROM relation r)
)
SELECT c.oid,
       n.nspname::pg_catalog.text AS schema,
       c.relname::pg_catalog.text AS name,
       c.relkind::pg_catalog.text AS kind,
       ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(a.catalog, a.id, 0)
               FROM around a WHERE a.root = c.oid AND a.fires ORDER BY 1) AS fires,
       ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(a.catalog, a.id, 0)
               FROM around a WHERE a.root = c.oid AND a.acts ORDER BY 1) AS acts,
       ARRAY(SELECT pg_catalog.jsonb_build_object(
                        'what', pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0),
                        'index', k.conindid::pg_catalog.int8,
                        'on_delete', k.confdeltype <> 'a', 'on_update', k.confupdtype <> 'a',
                        'columns', ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
                                          WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
                                          ORDER BY a.attnum))
               FROM foreign_key k
              WHERE k.root = c.oid AND k.is_to AND (k.confdeltype <> 'a' OR k.confupdtype <> 'a')
                -- a key to a partitioned table has a copy for each partition
                AND NOT EXISTS (SELECT FROM foreign_key p WHERE p.oid = k.conparentid AND p.is_to AND p.root = k.root)
              ORDER BY k.oid) AS acting,
       ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(a.catalog, a.id, 0)
               FROM around a WHERE a.root = c.oid AND a.has_side_effects ORDER BY 1) AS side_effects,
       EXISTS (SELECT FROM around a
                WHERE a.root = c.oid AND a.catalog = 'pg_catalog.pg_rewrite'::pg_catalog.regclass) AS has_rules,
       ARRAY(SELECT k.conname::pg_catalog.text FROM pg_catalog.pg_constraint k
              WHERE k.conrelid = c.oid AND NOT k.convalidated
                AND pg_catalog.to_jsonb(k) ->> 'conenforced' IS DISTINCT FROM 'false' -- since PostgreSQL 18
              ORDER BY 1) AS not_valid,
       ARRAY(SELECT pg_catalog.jsonb_build_object(
                        'name', a.attname,
                        'given', CASE WHEN a.attgenerated <> '' THEN 'generated'
                                      WHEN a.attidentity = 'a' THEN 'always' ELSE '' END,
                        'kind', coalesce(pg_catalog.jsonb_build_object(
                                    'int2', 'number', 'int4', 'number', 'int8', 'number', 'numeric', 'number',
                                    'float4', 'number', 'float8', 'number',
                                    'date', 'time', 'timestamp', 'time', 'timestamptz', 'time', 'time', 'time of day',
                                    'interval', 'interval', 'uuid', 'uuid', 'bytea', 'bytes', 'bool', 'boolean',
                                    'inet', 'address', 'cidr', 'address')
                                    ->> CASE t.typnamespace WHEN 'pg_catalog'::pg_catalog.regnamespace
                                        THEN t.typname::pg_catalog.text END,
                                    CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'r' THEN 'range' WHEN 'm' THEN 'multirange'
                                        ELSE CASE t.typcategory WHEN 'S' THEN 'text' ELSE '' END END),
                        'is_nullable', NOT a.attnotnull,
                        'is_referred_to', EXISTS (SELECT FROM foreign_key k
                                                   WHERE k.confrelid = c.oid AND a.attnum = ANY (k.confkey)))
               FROM pg_catalog.pg_attribute a
               JOIN LATERAL (WITH RECURSIVE base (type) AS (
                                 SELECT a.atttypid
                                 UNION ALL
                                 SELECT d.typbasetype FROM base b
                                   JOIN pg_catalog.pg_type d ON d.oid = b.type AND d.typtype = 'd'
                             )
                             SELECT t.* FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'
                    ) AS t ON true
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              ORDER BY a.attnum) AS columns,
       ARRAY(SELECT DISTINCT coalesce(o.name, t.name)
               FROM foreign_key k
               JOIN named t ON t.oid = k.conrelid
               LEFT JOIN relation r ON r.oid = k.conrelid
               LEFT JOIN named o ON o.oid = r.root
              WHERE k.root = c.oid AND k.is_to) AS referred_by,
       ARRAY(SELECT pg_catalog.jsonb_build_object('table', n.name, 'name', k.conname)
               FROM foreign_key k
               JOIN named n ON n.oid = k.conrelid
              WHERE k.root = c.oid AND k.is_to AND 'r' IN (k.confdeltype, k.confupdtype)
              ORDER BY k.oid) AS restricting
  FROM relation r
  JOIN pg_catalog.pg_class c ON c.oid = r.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE r.oid = r.root
 ORDER BY 2, 3;
