-- The other unique indexes and exclusion constraints of a live table, besides that on the columns that identify a row:
-- their columns, or NULL if more than the equality of columns counts (an expression, an exclusion constraint, NULLS NOT
-- DISTINCT). Target side.
-- :'schema', :'name': the live table; :'key': the columns that identify a row.
-- Try it: psql -v schema=public -v name=orders -v key='{id}' -f other_keys.sql
SELECT CASE WHEN i.indexprs IS NULL AND NOT i.indisexclusion
             -- PostgreSQL 15 and later
             AND NOT coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
            THEN k.columns END AS columns
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
       SELECT ARRAY(SELECT a.attname::text
                      FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, position)
                      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                     ORDER BY k.position)) AS k (columns)
 WHERE n.nspname = :'schema' AND c.relname = :'name'
   AND (i.indisunique OR i.indisexclusion)
   AND (k.columns <> :'key'::text[] OR i.indexprs IS NOT NULL OR i.indisexclusion)
 ORDER BY i.indexrelid;
