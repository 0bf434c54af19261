-- Live tables that no publish has created or replaced, and that belong neither to this session's role nor to a
-- superuser. Target side; needs the ledger.
-- :'schemas', :'names': the live tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f untrusted_tables.sql
SELECT n.nspname::text AS schema, c.relname::text AS name, r.rolname::text AS owner, r.rolsuper AS is_superuser
  FROM unnest(:'schemas'::text[], :'names'::text[]) AS w (schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE NOT r.rolsuper AND r.rolname <> current_user
   -- compare oids, not names: the published table may have been dropped, and another table may have its name
   AND NOT EXISTS (SELECT FROM etl.loads l
                    WHERE l.schema_name = w.schema AND l.relation_name = w.name
                      -- only a publish writes live_oid, and another run with the same id keeps it
                      AND l.live_oid = c.oid)
 ORDER BY 1, 2;
