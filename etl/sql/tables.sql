-- The description of source tables from which staging tables are created, one row for each table. Source side.
-- :'oids': the tables.
-- Try it: python -m etl.sessions.query tables | psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}"
--
-- Each file of tables/ is a CTE of this query, and runs by itself, too. Their rows become JSON here, one list a table.
SELECT c.oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       coalesce(CASE WHEN c.relkind <> 'v' THEN c.reloptions END, '{}')
         || coalesce((SELECT array_agg('toast.' || o) FROM pg_catalog.pg_class t, unnest(t.reloptions) o
                       WHERE t.oid = c.reltoastrelid), '{}') AS storage,
       coalesce(volume.bytes, 0) AS bytes,
       coalesce(volume.rows, 0) AS rows,
       coalesce(column_list.items, '[]') AS columns,
       coalesce(index_list.items, '[]') AS indexes,
       coalesce(constraint_list.items, '[]') AS constraints,
       coalesce(statistics_list.items, '[]') AS statistics
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN volume ON volume.oid = c.oid
  LEFT JOIN (SELECT a.oid, jsonb_agg((to_jsonb(a) || to_jsonb(u) || to_jsonb(t)) - '{oid,position,type_oid}'::text[]
                                     ORDER BY a.position) AS items
               FROM columns a
               JOIN nullability u ON u.oid = a.oid AND u.position = a.position
               JOIN column_types t ON t.type_oid = a.type_oid
              GROUP BY a.oid) AS column_list ON column_list.oid = c.oid
  LEFT JOIN (SELECT i.oid, jsonb_agg(to_jsonb(i) - '{oid,position}'::text[] ORDER BY i.position) AS items
               FROM indexes i GROUP BY i.oid) AS index_list ON index_list.oid = c.oid
  LEFT JOIN (SELECT k.oid, jsonb_agg(to_jsonb(k) - '{oid,position}'::text[] ORDER BY k.position) AS items
               FROM constraints k GROUP BY k.oid) AS constraint_list ON constraint_list.oid = c.oid
  LEFT JOIN (SELECT s.oid, jsonb_agg(to_jsonb(s) - '{oid,position}'::text[] ORDER BY s.position) AS items
               FROM statistics s GROUP BY s.oid) AS statistics_list ON statistics_list.oid = c.oid
 WHERE c.oid = ANY (:'oids'::pg_catalog.oid[]);
