-- Which staging tables hold rows that a snapshot older than them would not see: those whose oldest id of a transaction
-- has not gone past the newest that wrote into them. VACUUM (FREEZE) takes it past, but never past what an old
-- snapshot still needs. Target side.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -v xids='{1234}' -f unfrozen.sql
SELECT n.nspname::text AS schema, c.relname::text AS name
  FROM unnest(:'schemas'::text[], :'names'::text[], :'xids'::text[]) AS w (schema, name, xid)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
 WHERE pg_catalog.age(c.relfrozenxid) >= pg_catalog.age(w.xid::pg_catalog.xid8::pg_catalog.xid)
 ORDER BY pg_catalog.age(w.xid::pg_catalog.xid8::pg_catalog.xid) DESC;
