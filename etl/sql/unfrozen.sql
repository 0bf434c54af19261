-- Staging tables with rows that an older snapshot would not see: a transaction that wrote into the table is not older
-- than the table's relfrozenxid. VACUUM (FREEZE) advances relfrozenxid, but only as far as no old snapshot needs.
-- Target side.
-- :'schemas', :'names': the staging tables; :'xids': for each, the newest transaction that wrote into it, 64 bits.
-- Try it: psql -v schemas='{etl_staging_public}' -v names='{orders}' -v xids='{1234}' -f unfrozen.sql
SELECT n.nspname::text AS schema, c.relname::text AS name
  FROM unnest(:'schemas'::text[], :'names'::text[], :'xids'::text[]) AS w (schema, name, xid)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
 WHERE pg_catalog.age(c.relfrozenxid) >= pg_catalog.age(w.xid::pg_catalog.xid8::pg_catalog.xid)
 ORDER BY pg_catalog.age(w.xid::pg_catalog.xid8::pg_catalog.xid) DESC;
