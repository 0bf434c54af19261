-- The keys, exclusion constraints and checks of tables; keys come first. Source side.
-- :'oids': the tables.
-- Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f tables/constraints.sql
--
-- index: the definition of the key's index, from USING on, where ADD CONSTRAINT ... USING INDEX can take it, which is
-- not so for a key WITHOUT OVERLAPS.
-- Keys, and checks with NO INHERIT, hold for a table's own rows only. The rows of inheritance children arrive with them
-- and may break them; so a table with children has neither here.
WITH relation AS (
    SELECT c.oid, n.nspname, c.relname,
           c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) AS has_children
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY (:'oids'::pg_catalog.oid[])
)
SELECT r.oid,
       row_number() OVER (PARTITION BY r.oid ORDER BY k.contype = 'c', k.contype <> 'p', k.conname) AS position,
       k.conname AS name,
       pg_catalog.pg_get_constraintdef(k.oid) AS definition,
       CASE WHEN k.contype IN ('p', 'u') AND to_jsonb(k) ->> 'conperiod' IS DISTINCT FROM 'true' THEN
           (SELECT substr(pg_catalog.pg_get_indexdef(ic.oid),
                          length(format('CREATE UNIQUE INDEX %I ON %s%I.%I ', ic.relname,
                                        CASE WHEN ic.relkind = 'I' THEN 'ONLY ' END, r.nspname, r.relname)) + 1)
              FROM pg_catalog.pg_class ic WHERE ic.oid = k.conindid) END AS index,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = r.oid AND a.attnum = ANY (k.conkey)
              ORDER BY pg_catalog.array_position(k.conkey, a.attnum)) AS columns,
       pg_catalog.obj_description(k.oid, 'pg_constraint') AS comment
  FROM relation r
  JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid
 WHERE (k.contype = 'c' OR k.contype IN ('p', 'u', 'x') AND NOT r.has_children)
   AND NOT (r.has_children AND k.connoinherit);
