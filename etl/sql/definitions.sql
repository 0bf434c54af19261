-- What the values and the visible rows of tables depend on, beside their rows. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f definitions.sql
--
-- obstacle: why xmin does not tell which rows have changed, or why a row's values may change without it; NULL if neither
-- facts:    columns, and all types that their values contain, with what may change while the rows stay. A column that
--           was added with a default has attmissingval, which old rows show. An enum's label may be renamed. A type of an
--           extension is as its version is
-- blurred:  the columns whose collation calls different values equal
-- leaves:   for each partition that stores rows, its oid and a digest of its columns: their numbers, and what its old rows
--           have in a column that was added with a default, are its own
WITH RECURSIVE tree AS (
    -- a table, and all partitions below it; children by inheritance are an obstacle
    SELECT o.oid AS root, o.oid FROM unnest(:'oids'::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT t.root, i.inhrelid
      FROM tree t
      JOIN pg_catalog.pg_class p ON p.oid = t.oid AND p.relkind = 'p'
      JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
), stored AS (
    SELECT t.root, c.oid, c.relkind, c.relpersistence, am.amname,
           CASE WHEN t.root = c.oid THEN 'it' ELSE 'its partition ' || c.relname END AS subject
      FROM tree t
      JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p'
      LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
), leaves AS (
    SELECT s.root,
           pg_catalog.jsonb_object_agg(s.oid, pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(
               pg_catalog.convert_to(described.columns::pg_catalog.text, 'UTF8')), 'hex'), 16))::pg_catalog.text AS digests
      FROM stored s
     CROSS JOIN LATERAL (
               SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
                          a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated,
                          a.attmissingval::pg_catalog.text) ORDER BY a.attnum) AS columns
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped) AS described
     WHERE s.root <> s.oid
     GROUP BY s.root
), contained AS (
    SELECT DISTINCT a.attrelid AS root, a.atttypid AS oid
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ANY (:'oids'::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
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
                WHERE t.typtype = 'm'
                  AND (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid = t.oid) AS inner_type
), described AS (
    SELECT c.root,
           pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
               t.oid, t.typname, t.typtype, t.typtypmod,
               ARRAY(SELECT pg_catalog.concat(e.oid, ' ', e.enumlabel) FROM pg_catalog.pg_enum e
                      WHERE e.enumtypid = t.oid ORDER BY e.oid),
               ARRAY(SELECT pg_catalog.concat(a.attnum, ' ', a.attname, ' ', a.atttypid, ' ', a.atttypmod)
                       FROM pg_catalog.pg_attribute a
                      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                      ORDER BY a.attnum),
               (SELECT x.extname::pg_catalog.text || ' ' || x.extversion
                  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
                 WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
                   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)) ORDER BY t.oid) AS types,
           pg_catalog.bool_or(t.oid >= 16384 AND t.typtype = 'b' AND t.typelem = 0 AND NOT EXISTS (
                                  SELECT FROM pg_catalog.pg_depend d
                                   WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
                                     AND d.deptype = 'e')) AS has_own_base_type
      FROM contained c
      JOIN pg_catalog.pg_type t ON t.oid = c.oid
     WHERE t.oid >= 16384
     GROUP BY c.root
)
SELECT c.oid,
       CASE WHEN odd.reason IS NOT NULL THEN odd.reason
            WHEN c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
            THEN 'other tables inherit from it'
            WHEN c.relkind = 'p' AND EXISTS (SELECT FROM pg_catalog.pg_index i
                                              WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisvalid)
            THEN 'not all partitions have the index of a key yet'
            WHEN pg_catalog.row_security_active(c.oid) THEN 'row security decides which rows the role sees'
            WHEN NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
            THEN 'the role may read some columns only, so it may not read xmin'
            WHEN d.has_own_base_type THEN 'functions of its own give the text of a type'
            WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute a
                          WHERE a.attrelid = c.oid AND a.attgenerated = 'v' AND NOT a.attisdropped)
            THEN 'a virtual generated column computes its values when it is read'
       END AS obstacle,
       pg_catalog.jsonb_build_object(
           'oid', c.oid,
           'types', d.types,
           'columns', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
                                  a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attmissingval::pg_catalog.text,
                                  l.oid, l.collversion, pg_catalog.pg_collation_actual_version(l.oid)) ORDER BY a.attnum)
                         FROM pg_catalog.pg_attribute a
                         LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND l.collprovider <> 'd'
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))::pg_catalog.text AS facts,
       ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.pg_attribute a
               JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT l.collisdeterministic
              ORDER BY a.attnum) AS blurred,
       coalesce(l.digests, '{}') AS leaves
  FROM pg_catalog.pg_class c
  LEFT JOIN leaves l ON l.root = c.oid
  LEFT JOIN (SELECT s.root,
                    min(s.subject || CASE
                        WHEN s.relkind = 'v' THEN ' is a view'
                        WHEN s.relkind = 'm' THEN ' is a materialized view'
                        WHEN s.relkind = 'f' THEN ' is a foreign table'
                        WHEN s.relkind <> 'r' THEN ' is no table'
                        WHEN s.amname IS DISTINCT FROM 'heap'
                        THEN ' has the access method ' || coalesce(s.amname, 'unknown')
                        WHEN s.relpersistence <> 'p' THEN ' is unlogged' END) AS reason
               FROM stored s GROUP BY s.root) AS odd ON odd.root = c.oid
  LEFT JOIN described d ON d.root = c.oid
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
