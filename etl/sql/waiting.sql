-- The foreign keys that publishes have added NOT VALID, and that are not validated yet, with the table's present name.
-- Target side.
-- Try it: psql -f waiting.sql
--
-- is_needed: the table still has the key, and the key is not valid
SELECT v.schema_name, v.relation_name, v.constraint_name, v.run_id, v.live_oid, v.error,
       n.nspname::text AS schema,
       c.relname::text AS name,
       EXISTS (SELECT FROM pg_catalog.pg_constraint k
                WHERE k.conrelid = c.oid AND k.conname = v.constraint_name AND k.contype = 'f'
                  AND NOT k.convalidated) AS is_needed
  FROM etl.validations v
  LEFT JOIN pg_catalog.pg_class c ON c.oid = v.live_oid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY v.schema_name, v.relation_name, v.constraint_name;
