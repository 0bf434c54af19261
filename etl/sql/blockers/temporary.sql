-- The temporary objects of other sessions that depend on live tables, or on views on these, and the sessions whose they
-- are, as far as the server lets that be told. The publish waits for them like for readers. Target side.
-- :'objects': the live tables and views.
-- Try it: psql -v objects="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f blockers/temporary.sql
--
-- pid:      NULL if the session cannot be told, or has crashed. A session that ends drops its objects; what a crashed
--           one leaves, the server drops when another session gets its number and makes temporary objects.
-- is_left:  whether it is certain that the session has crashed
--
-- The number in pg_temp_NUMBER is the session's, as in its virtual transaction ids. Since PostgreSQL 16 it is also the number
-- of pg_stat_get_backend_pid(). Before, that one counts sessions without gaps, in the order of their numbers: it is the
-- session's number up to any session that is known to have the same number in both.
WITH part AS (
    SELECT 'pg_catalog.pg_class'::regclass AS classid, o AS objid FROM unnest(:'objects'::pg_catalog.oid[]) AS o
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, y.id
      FROM pg_catalog.pg_type t
     CROSS JOIN LATERAL unnest(ARRAY[t.oid, t.typarray]) AS y (id)
     WHERE t.typrelid = ANY (:'objects'::pg_catalog.oid[])
), dependent AS (
    SELECT DISTINCT
           CASE d.classid WHEN 'pg_catalog.pg_rewrite'::regclass THEN 'pg_catalog.pg_class'::regclass ELSE d.classid END
             AS classid,
           coalesce(r.ev_class, d.objid) AS objid,
           coalesce(c.relnamespace, p.pronamespace, t.typnamespace) AS namespace
      FROM part
      JOIN pg_catalog.pg_depend d ON d.refclassid = part.classid AND d.refobjid = part.objid AND d.deptype = 'n'
      LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
      LEFT JOIN pg_catalog.pg_class c
             ON c.oid = CASE d.classid WHEN 'pg_catalog.pg_class'::regclass THEN d.objid ELSE r.ev_class END
      LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
      LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
), counted AS (
    SELECT i.id, pg_catalog.pg_stat_get_backend_pid(i.id) AS pid
      FROM pg_catalog.pg_stat_get_backend_idset() AS i (id)
), running AS (
    -- every session in a transaction has a lock on its virtual transaction id
    SELECT l.pid, split_part(l.virtualtransaction, '/', 1)::integer AS number
      FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL AND l.virtualxid = l.virtualtransaction
), session AS (
    SELECT number, pid FROM running
    UNION
    SELECT c.id, c.pid
      FROM counted c
     WHERE pg_catalog.current_setting('server_version_num')::integer >= 160000
        OR c.id <= (SELECT max(r.number) FROM running r JOIN counted s ON s.pid = r.pid AND s.id = r.number)
)
SELECT a.pid,
       pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS what,
       n.nspname::text AS schema,
       a.pid IS NULL AND pg_catalog.current_setting('server_version_num')::integer >= 160000 AS is_left
  FROM dependent d
  JOIN pg_catalog.pg_namespace n ON n.oid = d.namespace
  LEFT JOIN (session s JOIN pg_catalog.pg_stat_activity a ON a.pid = s.pid AND a.datname = current_database())
         ON s.number = substring(n.nspname FROM '^pg_temp_(\d+)$')::integer
 WHERE pg_catalog.pg_is_other_temp_schema(n.oid)
 ORDER BY 2;
