-- Writes why a foreign key could not be validated; it goes on waiting. Target side; needs the ledger.
-- :'schema_name', :'relation_name': the live table; :'constraint_name': the key; :'run_id': the run that added it;
-- :'error': why.
-- Try it:
--   psql -v run_id=tonight -v schema_name=public -v relation_name=orders -v constraint_name=itself \
--     -v error='a row lacks' -c BEGIN -f ledger/keep_waiting.sql -c ROLLBACK
UPDATE etl.validations v
   SET error = :'error'
 WHERE v.schema_name = :'schema_name' AND v.relation_name = :'relation_name'
   AND v.constraint_name = :'constraint_name' AND v.run_id = :'run_id';
