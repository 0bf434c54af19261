-- The runs that have loaded one table, the newest loads first. Target side; needs the ledger.
-- :'name': the source's table; :'status': loads of this status alone, empty for any that has begun; :'most': their number.
-- :'job': a job, whose runs count, and not those of other jobs; empty if there is none.
-- Try it: psql -v name=public.orders -v status= -v most=30 -v job= -f ledger/nights.sql
SELECT l.run_id
  FROM etl.loads l
  LEFT JOIN etl.runs r ON r.run_id = l.run_id
 WHERE l.table_name = :'name' AND l.status <> 'planned' AND :'status' IN ('', l.status)
   AND (:'job' = '' OR r.job IS NULL OR r.job = :'job')
 ORDER BY l.started_at DESC, l.run_id
 LIMIT :'most'::int;
