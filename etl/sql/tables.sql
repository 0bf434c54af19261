-- What a staging table needs to know of its source table, one row a table. Source side.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables.sql
--
-- binary: the column's bytes mean the same on every server, so that COPY may be binary. That holds for
-- pg_catalog's own types (their oids, below 10000, are assigned by hand and never change: access/transam.h),
-- for enums (sent as their label) and for domains over either; not for arrays, ranges and rows of user
-- types (their oids travel with the value), nor for int2vector, oidvector and tsquery (what they send for an
-- empty one, their own receive functions refuse).
-- names_objects: somewhere in it are oids of this server's own objects: a reg* type's, or an aclitem's roles. As text
-- they are names, which the target would look up while the next tables are still in staging.
-- hashed_as: the type whose bytes go into the checksum: the built-in one, also where a domain rests on it, else text.
WITH RECURSIVE chosen AS (
    SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
), resolved AS (
    -- a domain may rest on a domain
    SELECT DISTINCT t.oid, t.oid AS base
      FROM pg_catalog.pg_attribute a
      JOIN chosen c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    UNION ALL
    SELECT r.oid, t.typbasetype
      FROM resolved r
      JOIN pg_catalog.pg_type t ON t.oid = r.base
     WHERE t.typtype = 'd'
), types AS MATERIALIZED (
    SELECT r.oid,
           t.typtype = 'e' AS is_enum,
           t.oid < 10000 AND e.typtype <> 'c' AND e.typsend <> 0 AND e.typreceive <> 0
             AND e.typname !~ '^(int2vector$|oidvector$|tsquery$)' AS is_builtin,
           r.base
      FROM resolved r
      JOIN pg_catalog.pg_type t ON t.oid = r.base AND t.typtype <> 'd'
      -- an array is what its elements are
      JOIN pg_catalog.pg_type e
        ON e.oid = CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_type i WHERE i.oid = t.typelem AND i.typarray = t.oid)
                        THEN t.typelem ELSE t.oid END
), held AS (
    -- each column's type, and all that its values hold: what a domain rests on, elements, fields, bounds
    SELECT DISTINCT r.oid AS root, r.oid FROM resolved r
    UNION
    SELECT h.root, inner_type.oid
      FROM held h
      JOIN pg_catalog.pg_type t ON t.oid = h.oid
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
               -- 13 has no multiranges
               SELECT r.rngtypid FROM pg_catalog.pg_range r
                WHERE t.typtype = 'm' AND (to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid = t.oid) AS inner_type
), naming AS (
    SELECT DISTINCT h.root AS oid
      FROM held h
      JOIN pg_catalog.pg_type t ON t.oid = h.oid
     WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname ~ '^(reg|aclitem$)'
), tree AS (
    -- a table's partitions and inheritance children, itself included
    SELECT c.oid AS root, c.oid AS leaf FROM chosen c
    UNION
    SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.leaf
), size AS (
    SELECT t.root,
           sum(pg_catalog.pg_table_size(t.leaf))::bigint AS bytes,
           sum(greatest(l.reltuples, 0))::bigint AS rows
      FROM tree t
      JOIN pg_catalog.pg_class l ON l.oid = t.leaf
     GROUP BY t.root
), nullable AS (
    -- children may allow what their parent does not, and 18's NOT NULL ... NOT VALID promises nothing
    SELECT t.root, array_agg(a.attname) AS columns
      FROM tree t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.leaf AND a.attnum > 0 AND NOT a.attisdropped
     WHERE NOT a.attnotnull
        OR (a.attrelid, ARRAY[a.attnum]) IN (SELECT k.conrelid, k.conkey FROM pg_catalog.pg_constraint k
                                              WHERE k.contype = 'n' AND NOT k.convalidated)
     GROUP BY t.root
)
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       coalesce(CASE WHEN c.relkind <> 'v' THEN c.reloptions END, '{}')
         || coalesce((SELECT array_agg('toast.' || o) FROM pg_catalog.pg_class t, unnest(t.reloptions) o
                       WHERE t.oid = c.reltoastrelid), '{}') AS storage,
       coalesce(size.bytes, 0) AS bytes,
       coalesce(size.rows, 0) AS rows,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', a.attname,
                 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                 'collation', (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                                 FROM pg_catalog.pg_collation co
                                 JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                                WHERE co.oid = a.attcollation AND a.attcollation <> ty.typcollation),
                 'not_null', a.attname <> ALL (coalesce(nullable.columns, '{}')),
                 -- since 18 it has a name, which must not be that of another constraint
                 'not_null_name', coalesce(
                     (SELECT k.conname FROM pg_catalog.pg_constraint k
                       WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]),
                     (SELECT 'not_null_' || a.attnum FROM pg_catalog.pg_constraint k
                       WHERE a.attnotnull AND k.conrelid = c.oid AND k.conname LIKE '%\_not\_null' LIMIT 1)),
                 'comment', pg_catalog.col_description(c.oid, a.attnum),
                 -- the type that has to be there before the table is, if it is not PostgreSQL's own
                 'user_type', (SELECT json_build_array(un.nspname, ut.typname)
                                 FROM pg_catalog.pg_type ut
                                 JOIN pg_catalog.pg_namespace un ON un.oid = ut.typnamespace
                                WHERE ut.oid = a.atttypid AND ut.oid >= 16384),
                 'storage', CASE WHEN a.attstorage <> ty.typstorage THEN
                     CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                       WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
                 -- 13 has no compression; '' and NULL are the default
                 'compression', CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
                 'statistics', nullif(greatest(to_jsonb(a) ->> 'attstattarget', '-1')::int, -1),
                 'binary', ts.is_builtin OR ts.is_enum,
                 'names_objects', a.atttypid IN (SELECT naming.oid FROM naming),
                 'hashed_as', CASE WHEN NOT ts.is_builtin THEN 'text'
                                   WHEN ts.base <> ts.oid THEN pg_catalog.format_type(ts.base, -1) END
               ) ORDER BY a.attnum), '[]')
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid
          JOIN types ts ON ts.oid = a.atttypid
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', ic.relname,
                 'unique', i.indisunique AND NOT family.has_children,
                 -- the definition from USING on: what stands before it names the table that we leave
                 'definition', substr(
                     pg_catalog.pg_get_indexdef(i.indexrelid),
                     length(format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END,
                                   ic.relname, CASE WHEN ic.relkind = 'I' THEN 'ONLY ' END,
                                   n.nspname, c.relname)) + 1),
                 'columns', ARRAY(SELECT DISTINCT a.attname::text
                                    FROM pg_catalog.pg_depend d
                                    JOIN pg_catalog.pg_attribute a
                                      ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                                   WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                                     AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid),
                 'comment', pg_catalog.obj_description(i.indexrelid, 'pg_class')
               ) ORDER BY i.indisunique DESC, ic.relname), '[]')
          FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisvalid
           AND (family.has_children OR NOT EXISTS (
                    SELECT FROM pg_catalog.pg_constraint k
                     WHERE k.conrelid = c.oid AND k.conindid = i.indexrelid
                       AND k.contype IN ('p', 'u', 'x')))) AS indexes,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', k.conname,
                 'definition', pg_catalog.pg_get_constraintdef(k.oid),
                 -- its index by itself, where ADD CONSTRAINT ... USING INDEX can take it: not those WITHOUT OVERLAPS
                 'index', CASE WHEN k.contype IN ('p', 'u') AND to_jsonb(k) ->> 'conperiod' IS DISTINCT FROM 'true' THEN
                     (SELECT substr(
                                 pg_catalog.pg_get_indexdef(ic.oid),
                                 length(format('CREATE UNIQUE INDEX %I ON %s%I.%I ', ic.relname,
                                               CASE WHEN ic.relkind = 'I' THEN 'ONLY ' END, n.nspname, c.relname)) + 1)
                        FROM pg_catalog.pg_class ic WHERE ic.oid = k.conindid) END,
                 'columns', ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                                   WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)),
                 'comment', pg_catalog.obj_description(k.oid, 'pg_constraint')
               ) ORDER BY k.contype = 'c', k.contype <> 'p', k.conname), '[]')
          FROM pg_catalog.pg_constraint k
         WHERE k.conrelid = c.oid
           AND (k.contype = 'c' OR k.contype IN ('p', 'u', 'x') AND NOT family.has_children)
           AND NOT (family.has_children AND k.connoinherit)) AS constraints,
       (SELECT coalesce(json_agg(json_build_object(
                 'name', s.stxname,
                 -- kinds and columns: what stands between the name and the table
                 'definition', substr(d.d, length(d.before) + 1, length(d.d) - length(d.before) - length(d.after)),
                 'columns', ARRAY(SELECT DISTINCT a.attname::text
                                    FROM pg_catalog.pg_depend p
                                    JOIN pg_catalog.pg_attribute a
                                      ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid
                                   WHERE p.classid = 'pg_catalog.pg_statistic_ext'::regclass AND p.objid = s.oid
                                     AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = c.oid),
                 'comment', pg_catalog.obj_description(s.oid, 'pg_statistic_ext')
               ) ORDER BY s.stxname), '[]')
          FROM pg_catalog.pg_statistic_ext s
          JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
         CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) AS d,
                                    format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname) AS before,
                                    format(' FROM %I.%I', n.nspname, c.relname) AS after) AS d
         WHERE s.stxrelid = c.oid) AS statistics
  FROM chosen c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN size ON size.root = c.oid
  LEFT JOIN nullable ON nullable.root = c.oid
  -- Keys and NO INHERIT checks hold for a table's own rows; those of its inheritance children, which arrive with
  -- them, may break them. The indexes come all the same, but not as unique ones.
 CROSS JOIN LATERAL (SELECT c.relkind = 'r' AND EXISTS (
                         SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) AS has_children) family;
