-- The queries of materialized views, as their parse trees have them, also those of the views that they read. Target side.
-- :'oids': the materialized views.
-- Try it: psql -v oids="{$(psql -Atc "SELECT max(oid) FROM pg_class WHERE relkind = 'm'")}" -f stored_views.sql
--
-- trees: the parse trees, the view's own first, each as [relation, tree]
-- reads: the relations whose stored rows the query reads, by oid: tables, other materialized views, foreign tables,
--        catalogs. pg_depend does not list PostgreSQL's own, but the trees do
WITH RECURSIVE query AS (
    SELECT m.oid AS filled, m.oid AS relation
      FROM unnest(:'oids'::pg_catalog.oid[]) AS m (oid)
    UNION
    SELECT q.filled, (pg_catalog.regexp_matches(w.ev_action::text, ':relid ([1-9][0-9]*)', 'g'))[1]::pg_catalog.oid
      FROM query q
      JOIN pg_catalog.pg_class c ON c.oid = q.relation AND (c.relkind = 'v' OR c.oid = q.filled)
      JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid
)
SELECT q.filled AS oid,
       array_agg(ARRAY[q.relation::text, w.ev_action::text] ORDER BY q.relation <> q.filled, q.relation, w.oid)
         FILTER (WHERE w.oid IS NOT NULL) AS trees,
       coalesce(pg_catalog.jsonb_object_agg(q.relation::text, pg_catalog.jsonb_build_array(n.nspname, c.relname))
                  FILTER (WHERE w.oid IS NULL), '{}') AS reads,
       pg_catalog.has_table_privilege(q.filled, 'SELECT') AS may_read
  FROM query q
  JOIN pg_catalog.pg_class c ON c.oid = q.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid AND (c.relkind = 'v' OR c.oid = q.filled)
 GROUP BY q.filled;
