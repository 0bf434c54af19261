-- The staging tables and their indexes that are not in the tablespace of the live ones of the same name, as the
-- statements that move them there; and those that have another access method, which have no statement. Target side.
-- :'oids': the live tables; :'staging': for each, its staging schema.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -v staging='{etl_staging_public}' -f misplaced.sql
WITH pair AS (
    SELECT l.oid AS live, s.oid AS staged, w.staging
      FROM unnest(:'oids'::pg_catalog.oid[], :'staging'::text[]) AS w (oid, staging)
      JOIN pg_catalog.pg_class l ON l.oid = w.oid AND l.relkind = 'r'
      JOIN pg_catalog.pg_namespace n ON n.nspname = w.staging
      JOIN pg_catalog.pg_class s ON s.relnamespace = n.oid AND s.relname = l.relname AND s.relkind = 'r'
), part AS (
    SELECT 'TABLE' AS word, p.live, p.staged, p.staging FROM pair p
    UNION ALL
    SELECT 'INDEX', li.indexrelid, si.indexrelid, p.staging
      FROM pair p
      JOIN pg_catalog.pg_index li ON li.indrelid = p.live
      JOIN pg_catalog.pg_index si ON si.indrelid = p.staged
      JOIN pg_catalog.pg_class lc ON lc.oid = li.indexrelid
      JOIN pg_catalog.pg_class sc ON sc.oid = si.indexrelid AND sc.relname = lc.relname
)
SELECT l.relname::text AS name,
       CASE WHEN l.reltablespace <> s.reltablespace THEN
           format('ALTER %s %I.%I SET TABLESPACE %I', p.word, p.staging, s.relname, coalesce(t.spcname, d.spcname)) END
         AS statement
  FROM part p
  JOIN pg_catalog.pg_class l ON l.oid = p.live
  JOIN pg_catalog.pg_class s ON s.oid = p.staged
  JOIN pg_catalog.pg_database b ON b.datname = current_database()
  JOIN pg_catalog.pg_tablespace d ON d.oid = b.dattablespace
  LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = l.reltablespace
 WHERE l.reltablespace <> s.reltablespace OR (p.word = 'TABLE' AND l.relam <> s.relam)
 ORDER BY p.word DESC, 1;
