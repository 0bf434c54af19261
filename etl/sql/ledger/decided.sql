-- Writes how the tables of a run become live. Target side; needs the ledger.
-- :'run_id': the run; :'way': swap, merge or mixed.
-- Try it: psql -v run_id=tonight -v way=swap -c BEGIN -f ledger/decided.sql -c ROLLBACK
UPDATE etl.runs r
   SET publish_way = :'way'
 WHERE r.run_id = :'run_id';
