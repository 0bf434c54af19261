-- The relations that this transaction has locked and the holder of a snapshot has not; none if no session holds the
-- snapshot any more. Source side.
-- :'snapshot_id': the exported snapshot.
-- Try it: psql -v snapshot_id="00000004-0000001B-1" -f unheld.sql
--
-- A snapshot's id starts with the virtual transaction of its holder, in hexadecimal. Indexes are left out, because an
-- index may be created while tables have these locks; so are the tables of the catalog.
WITH own AS (
    SELECT l.relation FROM pg_catalog.pg_locks l
     WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
), holder AS (
    SELECT l.locktype, l.relation
      FROM pg_catalog.pg_locks l, pg_catalog.string_to_array(:'snapshot_id', '-') AS part
     WHERE l.granted
       AND l.virtualtransaction = (('x' || part[1])::bit(32)::bigint) || '/' || (('x' || part[2])::bit(32)::bigint)
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
  FROM own
  JOIN pg_catalog.pg_class c ON c.oid = own.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind NOT IN ('i', 'I') AND n.nspname <> 'pg_catalog'
   AND EXISTS (SELECT FROM holder)
   AND NOT EXISTS (SELECT FROM holder WHERE holder.locktype = 'relation' AND holder.relation = c.oid)
 ORDER BY n.nspname, c.relname;
