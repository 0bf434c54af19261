-- The locks that conflict with those of a publish, and the locks of transactions that have changed a row of the catalog
-- which the publish changes, too. Target side.
-- :'objects': the live tables, and the views on them; :'readers': whether readers conflict, as they do with a swap.
-- Try it:
--   psql -v objects="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -v readers=true -f blockers/locks.sql
--
-- Beside the tables and views, the publish locks what it detaches or attaches: the tables to which their foreign keys
-- refer, the sequences that their columns own, and the relations that views, rules, policies and triggers read.
-- A merge of rows (readers = false) also locks rows that refer to rows that go, directly or through others.
WITH RECURSIVE object AS (
    SELECT o.oid FROM unnest(:'objects'::pg_catalog.oid[]) AS o (oid)
), index AS (
    SELECT i.indexrelid AS oid FROM object o JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
), sequence AS (
    SELECT q.oid
      FROM object o
      JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = o.oid
       AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'a'
      JOIN pg_catalog.pg_class q ON q.oid = d.objid AND q.relkind = 'S'
), rule AS (
    SELECT 'pg_catalog.pg_rewrite'::regclass AS classid, r.oid
      FROM object o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid FROM object o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
), writers AS (
    SELECT CASE WHEN NOT :'readers'::boolean THEN
               '{RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,
                 AccessExclusiveLock}'::text[] END AS conflicts
), referring (oid) AS (
    SELECT k.conrelid
      FROM object o JOIN pg_catalog.pg_constraint k ON k.confrelid = o.oid AND k.contype = 'f'
     WHERE NOT :'readers'::boolean
    UNION
    SELECT k.conrelid
      FROM referring r JOIN pg_catalog.pg_constraint k ON k.confrelid = r.oid AND k.contype = 'f'
), locked (oid, conflicts) AS (
    -- conflicts: the modes that conflict with the publish's, or NULL for all
    SELECT oid, w.conflicts FROM object, writers w
    UNION
    SELECT r.oid, w.conflicts FROM referring r, writers w
    UNION
    SELECT k.confrelid, (SELECT w.conflicts FROM writers w)
      FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid AND k.contype = 'f'
    UNION
    SELECT oid, '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,
                  AccessExclusiveLock}'::text[] FROM sequence
    UNION
    SELECT oid, '{AccessExclusiveLock}' FROM index
    UNION
    SELECT d.refobjid, '{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'
      FROM rule r
      JOIN pg_catalog.pg_depend d ON d.classid = r.classid AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
), changed (oid, changer) AS (
    SELECT c.oid, c.xmax FROM pg_catalog.pg_class c
     WHERE c.oid IN (SELECT oid FROM object UNION SELECT oid FROM index UNION SELECT oid FROM sequence)
    UNION ALL
    SELECT o.oid, a.xmax FROM object o JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid
    UNION ALL
    SELECT o.oid, t.xmax FROM object o JOIN pg_catalog.pg_type t ON t.typrelid = o.oid
    UNION ALL
    SELECT o.oid, k.xmax FROM object o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
    UNION ALL
    SELECT o.oid, s.xmax FROM object o JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = o.oid
    UNION ALL
    SELECT o.oid, t.xmax FROM object o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid
), holder AS (
    SELECT l.pid, l.virtualtransaction, l.granted, l.relation AS oid
      FROM locked w
      JOIN pg_catalog.pg_locks l ON l.locktype = 'relation' AND l.relation = w.oid
       AND (w.conflicts IS NULL OR l.mode = ANY (w.conflicts))
     WHERE l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
    UNION
    SELECT l.pid, l.virtualtransaction, l.granted, c.oid
      FROM changed c
      JOIN pg_catalog.pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = c.changer AND l.granted
     WHERE c.changer <> '0'::pg_catalog.xid
)
SELECT h.pid, h.virtualtransaction, h.granted, n.nspname || '.' || c.relname AS what
  FROM holder h
  JOIN pg_catalog.pg_class c ON c.oid = h.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE h.pid IS DISTINCT FROM pg_catalog.pg_backend_pid();
