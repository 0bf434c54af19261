-- The indexes, constraints and extended statistics of a live table or materialized view, as the statements that create
-- them on its staging table. The caller leaves out those that the source has, too. One that uses a column which the
-- staging table lacks is left out here, as if the column were dropped. Target side.
-- :'schema', :'name': the live table; :'staging': its staging schema, or its own schema, for a view that is late.
-- Try it: psql -v schema=public -v name=orders -v staging=etl_staging_public -f extras.sql
--
-- An object that is dropped while this is read has no statement (NULL): pg_get_...def() read the catalog as it is, not
-- as the snapshot has it.
WITH live AS (
    SELECT c.oid, c.relname, n.nspname, pg_catalog.to_regclass(format('%I.%I', :'staging'::text, c.relname)) AS staged
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :'schema' AND c.relname = :'name' AND c.relkind IN ('r', 'm')
), gone AS (
    SELECT l.oid, a.attnum
      FROM live l
      JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attnum > 0
     WHERE l.staged IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute s
                        WHERE s.attrelid = l.staged AND s.attname = a.attname AND NOT s.attisdropped)
), lost AS (
    SELECT d.classid, d.objid
      FROM gone g
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = g.oid
       AND d.refobjsubid = g.attnum
)
SELECT 'index' AS kind,
       ic.relname::text AS name,
       format('CREATE %sINDEX %I ON %I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, ic.relname,
              :'staging'::text, l.relname)
         || substr(pg_catalog.pg_get_indexdef(i.indexrelid),
                     length(format('CREATE %sINDEX %I ON %I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' END,
                                   ic.relname, l.nspname, l.relname)) + 1) AS statement,
       nullif(concat_ws('; ',
           format('ALTER INDEX %I.%I', :'staging'::text, ic.relname) || ' SET TABLESPACE ' || quote_ident(t.spcname),
           format('COMMENT ON INDEX %I.%I', :'staging'::text, ic.relname)
               || ' IS ' || quote_literal(pg_catalog.obj_description(i.indexrelid, 'pg_class'))), '')
         AS comment_statement
  FROM live l
  JOIN pg_catalog.pg_index i ON i.indrelid = l.oid AND i.indisvalid
  JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
  LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = ic.reltablespace
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                    -- by conrelid, too: pg_constraint has no index on conindid alone, and would be read from start to end
                    WHERE k.conrelid = l.oid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
   AND ('pg_catalog.pg_class'::regclass, i.indexrelid) NOT IN (SELECT * FROM lost)
UNION ALL
SELECT CASE k.contype WHEN 'c' THEN 'check' ELSE 'constraint' END, k.conname::text,
       format('ALTER TABLE %I.%I ADD CONSTRAINT %I ', :'staging'::text, l.relname, k.conname)
         || pg_catalog.pg_get_constraintdef(k.oid),
       nullif(concat_ws('; ',
           format('ALTER INDEX %I.%I', :'staging'::text, coalesce(ic.relname, '')) || ' SET TABLESPACE '
               || quote_ident(t.spcname),
           format('COMMENT ON CONSTRAINT %I ON %I.%I', k.conname, :'staging'::text, l.relname)
               || ' IS ' || quote_literal(pg_catalog.obj_description(k.oid, 'pg_constraint')),
           format('COMMENT ON INDEX %I.%I', :'staging'::text, coalesce(ic.relname, ''))
               || ' IS ' || quote_literal(pg_catalog.obj_description(ic.oid, 'pg_class'))), '')
  FROM live l
  JOIN pg_catalog.pg_constraint k ON k.conrelid = l.oid AND k.contype IN ('p', 'u', 'x', 'c')
  LEFT JOIN pg_catalog.pg_class ic ON ic.oid = k.conindid AND k.contype <> 'c'
  LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = ic.reltablespace
 WHERE ('pg_catalog.pg_constraint'::regclass, k.oid) NOT IN (SELECT * FROM lost)
   -- a table has one primary key: where the staging table has the same one by another name, that name is the source's
   AND NOT (k.contype = 'p' AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint s
             WHERE s.conrelid = l.staged AND s.contype = 'p' AND s.conname <> k.conname
               AND pg_catalog.pg_get_constraintdef(s.oid) = pg_catalog.pg_get_constraintdef(k.oid)))
UNION ALL
SELECT 'statistics', m.name,
       format('CREATE STATISTICS %I.%I ', m.schema, m.name)
         -- kinds and columns, which are between the name and the table
         || substr(d.d, length(format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname)) + 1,
                   length(d.d) - length(format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname))
                               - length(format(' FROM %I.%I', l.nspname, l.relname)))
         || format(' FROM %I.%I', :'staging'::text, l.relname),
       nullif(concat_ws('; ',
           -- the server's default is -1 in PostgreSQL 13 to 16, and NULL since 17
           'ALTER STATISTICS ' || format('%I.%I', m.schema, m.name)
               || ' SET STATISTICS ' || nullif(s.stxstattarget, -1),
           format('COMMENT ON STATISTICS %I.%I', m.schema, m.name)
               || ' IS ' || quote_literal(pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))), '')
  FROM live l
  JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = l.oid
  JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
 CROSS JOIN LATERAL (
       -- Those of several schemas may have one name. So in staging, those that are not in their table's schema have
       -- another name until the publish moves them to their own schema.
       SELECT :'staging'::text AS schema, s.stxname::text AS name WHERE sn.nspname = l.nspname
       UNION ALL
       SELECT :'staging'::text, 'etl_' || left(encode(sha256(convert_to(format('%I.%I', sn.nspname, s.stxname),
                                                                        'UTF8')), 'hex'), 40)
        WHERE sn.nspname <> l.nspname AND :'staging'::text <> l.nspname
       UNION ALL
       SELECT sn.nspname::text, s.stxname::text WHERE sn.nspname <> l.nspname AND :'staging'::text = l.nspname
       ) AS m (schema, name)
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_statisticsobjdef(s.oid)) AS d (d)
 WHERE ('pg_catalog.pg_statistic_ext'::regclass, s.oid) NOT IN (SELECT * FROM lost)
 ORDER BY 1 DESC, 2;
