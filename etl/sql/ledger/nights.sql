-- The runs that have loaded one table, the newest loads first. Target side; needs the ledger.
-- :'name': the source's table; :'status': loads of this status alone, empty for any that has begun; :'most': their number.
-- Try it: psql -v name=public.orders -v status= -v most=30 -f ledger/nights.sql
SELECT l.run_id
  FROM etl.loads l
 WHERE l.table_name = :'name' AND l.status <> 'planned' AND :'status' IN ('', l.status)
 ORDER BY l.started_at DESC, l.run_id
 LIMIT :'most'::int;
