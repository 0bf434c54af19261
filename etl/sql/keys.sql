-- The unique indexes and exclusion constraints of live tables, and of their partitions. Target side.
-- :'oids': the live tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'public.orders'::regclass::oid")}" -f keys.sql
--
-- index:        the oid of the index
-- names:        the names of the index and of its copies on partitions, as errors have them
-- identifies:   the index alone identifies a row with no NULL in its columns: not partial, no expression, a btree
-- is_whole:     the index is on the live table itself, not on one of its partitions alone
-- is_deferrable: the server compares the values at the end of the statement or later, not row by row
-- columns:      each column of the key of the index: its name, the index's operator for equality (NULL if there is
--               none), the index's collation, whether it may be NULL
-- depends_on:   all columns that decide whether rows collide: those of the key, of expressions and of the predicate
WITH RECURSIVE relation (root, oid) AS (
    SELECT w.oid, w.oid FROM unnest(:'oids'::pg_catalog.oid[]) AS w (oid)
    UNION ALL
    SELECT r.root, i.inhrelid
      FROM relation r
      JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
), apart AS (
    SELECT r.root, i.*
      FROM relation r
      JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND (i.indisunique OR i.indisexclusion)
       AND (i.indrelid = r.root
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid))
), copy (index, oid) AS (
    SELECT a.indexrelid, a.indexrelid FROM apart a
    UNION ALL
    SELECT c.index, h.inhrelid FROM copy c JOIN pg_catalog.pg_inherits h ON h.inhparent = c.oid
)
SELECT i.root AS oid,
       i.indexrelid::pg_catalog.int8 AS index,
       x.relname::pg_catalog.text AS name,
       i.indisprimary AS is_primary,
       ARRAY(SELECT pg_catalog.jsonb_build_object('schema', n.nspname, 'name', x.relname)
               FROM copy c
               JOIN pg_catalog.pg_class x ON x.oid = c.oid
               JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
              WHERE c.index = i.indexrelid) AS names,
       i.indrelid = i.root AS is_whole,
       NOT i.indimmediate AS is_deferrable,
       m.amname = 'btree' AND i.indisunique AND i.indisvalid AND NOT i.indisexclusion
           AND i.indpred IS NULL AND i.indexprs IS NULL AS identifies,
       -- PostgreSQL 15 and later
       coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false) AS nulls_are_alike,
       ARRAY(SELECT pg_catalog.jsonb_build_object(
                        'name', a.attname,
                        'operator', CASE WHEN o.oid IS NOT NULL
                                         THEN pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) END,
                        'collation', CASE WHEN l.oid IS NOT NULL
                                          THEN pg_catalog.format('%I.%I', ln.nspname, l.collname) END,
                        'is_nullable', NOT a.attnotnull)
               FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k (position)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.position]
               JOIN pg_catalog.pg_opclass c ON c.oid = i.indclass[k.position]
               -- strategy 3 of a btree operator family is equality (manual, "B-Tree Support Functions")
               LEFT JOIN pg_catalog.pg_amop e ON e.amopfamily = c.opcfamily AND e.amopstrategy = 3
                AND e.amoplefttype = c.opcintype AND e.amoprighttype = c.opcintype
               LEFT JOIN pg_catalog.pg_operator o ON o.oid = e.amopopr
               LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
               LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[k.position]
               LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
              ORDER BY k.position) AS columns,
       ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = i.indrelid AND a.attnum > 0
                AND (a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                     OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND d.objid = i.indexrelid
                                   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
              ORDER BY a.attnum) AS depends_on
  FROM apart i
  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam
 ORDER BY i.root, i.indisprimary DESC, i.indnkeyatts, i.indexrelid;
