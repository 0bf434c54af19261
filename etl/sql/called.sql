-- What an expression calls, as its parse tree has it. Source side.
-- :'functions', :'operators': the oids of those called.
-- :'printed', :'read': the types whose values are turned into text, and out of text.
-- :'types', :'collations': all types and collations in the tree.
-- Try it: psql -v functions={1299} -v operators={96} -v printed={23} -v read={25} -v types={25} -v collations={100} -f called.sql
--
-- impure: why the result may depend on more than the arguments: a function that is not immutable, or is none of
--         PostgreSQL's own (their oids are below 16384), because it may call others; a type whose functions are not
--         PostgreSQL's own, except enums and their arrays; a type that names objects. NULL if nothing does
-- facts:  the functions that are not PostgreSQL's own, with their bodies and settings, and the collations' versions
WITH called AS (
    SELECT p.*
      FROM pg_catalog.pg_proc p
     WHERE p.oid = ANY (:'functions'::pg_catalog.oid[])
        OR p.oid IN (SELECT o.oprcode FROM pg_catalog.pg_operator o WHERE o.oid = ANY (:'operators'::pg_catalog.oid[]))
        OR p.oid IN (SELECT t.typoutput FROM pg_catalog.pg_type t WHERE t.oid = ANY (:'printed'::pg_catalog.oid[]))
        OR p.oid IN (SELECT t.typinput FROM pg_catalog.pg_type t WHERE t.oid = ANY (:'read'::pg_catalog.oid[]))
)
SELECT coalesce(
           (SELECT min('calls ' || p.oid::pg_catalog.regprocedure::text
                       || CASE WHEN p.oid >= 16384 THEN ', which is not PostgreSQL''s own' ELSE ', which is not immutable' END)
              FROM called p WHERE p.oid >= 16384 OR p.provolatile <> 'i'),
           (SELECT min('has values of type ' || pg_catalog.format_type(t.oid, NULL))
              FROM pg_catalog.pg_type t
             WHERE t.oid = ANY (:'types'::pg_catalog.oid[])
               AND (t.oid >= 16384 AND t.typtype <> 'e'
                        AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid AND e.typtype = 'e')
                    OR t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname ~ '^_?reg'))) AS impure,
       pg_catalog.jsonb_build_array(
           (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) - 'proacl'::text ORDER BY p.oid) FROM called p WHERE p.oid >= 16384),
           (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
                       l.oid, l.collversion, pg_catalog.pg_collation_actual_version(l.oid)) ORDER BY l.oid)
              FROM pg_catalog.pg_collation l
             WHERE l.oid = ANY (:'collations'::pg_catalog.oid[]) AND l.collprovider <> 'd'))::text AS facts;
