-- Sessions of this database, replication slots and prepared transactions whose snapshot or transaction is not newer
-- than a transaction, the oldest first. VACUUM cannot freeze the rows of that transaction before they end. Target side.
-- :'xid': the transaction's id, 64 bits.
-- Try it: psql -v xid=1234 -f old_snapshots.sql
WITH holders AS (
    SELECT a.pid, a.xact_start AS since,
           format('pid %s (%s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no application name'))
             AS who,
           greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) AS age
      FROM pg_catalog.pg_stat_activity a
     WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
       AND (a.datname = current_database() OR a.backend_type = 'walsender')
    UNION ALL
    SELECT NULL, NULL, format('replication slot %s', s.slot_name), pg_catalog.age(s.xmin)
      FROM pg_catalog.pg_replication_slots s
    UNION ALL
    SELECT NULL, p.prepared, format('prepared transaction %s', p.gid), pg_catalog.age(p.transaction)
      FROM pg_catalog.pg_prepared_xacts p
     WHERE p.database = current_database()
)
SELECT h.pid, h.who, h.since
  FROM holders h
 WHERE h.age >= pg_catalog.age(:'xid'::text::pg_catalog.xid8::pg_catalog.xid)
 ORDER BY h.age DESC;
