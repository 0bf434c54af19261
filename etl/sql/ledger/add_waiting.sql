-- Writes that a foreign key was added NOT VALID, and waits for its validation. Target side; needs the ledger.
-- :'schema_name', :'relation_name': the live table; :'constraint_name': the key; :'run_id': the run that added it;
-- :'live_oid': the live table's oid; :'at': the time.
-- Try it:
--   psql -v run_id=tonight -v schema_name=public -v relation_name=orders -v constraint_name=itself \
--     -v live_oid=1234 -v at=now -c BEGIN -f ledger/add_waiting.sql -c ROLLBACK
INSERT INTO etl.validations (schema_name, relation_name, constraint_name, run_id, live_oid, added_at)
VALUES (:'schema_name', :'relation_name', :'constraint_name', :'run_id', :'live_oid', :'at')
    ON CONFLICT (schema_name, relation_name, constraint_name) DO UPDATE
   SET run_id = excluded.run_id, live_oid = excluded.live_oid, added_at = excluded.added_at, error = NULL;
