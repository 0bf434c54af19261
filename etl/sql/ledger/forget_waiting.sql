-- Deletes a foreign key that waits no longer, unless another publish has added it anew. Target side; needs the ledger.
-- :'schema_name', :'relation_name': the live table; :'constraint_name': the key; :'run_id': the run that added it.
-- Try it:
--   psql -v run_id=tonight -v schema_name=public -v relation_name=orders -v constraint_name=itself -c BEGIN \
--     -f ledger/forget_waiting.sql -c ROLLBACK
DELETE FROM etl.validations v
 WHERE v.schema_name = :'schema_name' AND v.relation_name = :'relation_name'
   AND v.constraint_name = :'constraint_name' AND v.run_id = :'run_id';
