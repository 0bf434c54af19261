-- By what a materialized view's query may read relations that pg_depend does not list: functions that are not
-- immutable, or whose body reads a table; system columns; functions that take a query or a name as text; policies.
-- Target side.
-- :'objects': the live tables and views.
-- Try it: psql -v objects="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f live/unproven.sql
WITH RECURSIVE query AS (
    -- the relations that a materialized view's query reads, directly or through views; not through another materialized
    -- view, whose rows are stored
    SELECT c.oid AS filled, c.oid AS reads
      FROM pg_catalog.pg_class c
     WHERE c.oid = ANY (:'objects'::pg_catalog.oid[]) AND c.relkind = 'm'
    UNION
    SELECT q.filled, d.refobjid
      FROM query q
      JOIN pg_catalog.pg_class c ON c.oid = q.reads AND (c.relkind = 'v' OR c.oid = q.filled)
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::regclass
), called (filled, classid, objid) AS (
    -- the functions and operators that the query calls, also through aggregates, operators and BEGIN ATOMIC bodies
    SELECT q.filled, 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
      FROM query q JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
    UNION
    SELECT c.filled, d.refclassid, d.refobjid
      FROM called c
      JOIN pg_catalog.pg_depend d ON d.classid = c.classid AND d.objid = c.objid
       AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
)
SELECT c.filled AS oid, p.oid::pg_catalog.regprocedure::text AS what
  FROM called c
  JOIN pg_catalog.pg_proc p ON c.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = c.objid
 WHERE p.pronamespace <> 'pg_catalog'::regnamespace
   AND (p.provolatile <> 'i'
        OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                      AND d.refclassid = 'pg_catalog.pg_class'::regclass))
UNION
-- system columns: ctid, xmin and tableoid are those of the staging table before the publish, but may be read later
SELECT q.filled, 'a system column of ' || d.refobjid::pg_catalog.regclass
  FROM query q
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid < 0
UNION
-- PostgreSQL's functions that take a query or a name as text; pg_depend does not list PostgreSQL's own functions
SELECT q.filled, p.oid::pg_catalog.regprocedure::text
  FROM query q
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = q.reads
  JOIN pg_catalog.pg_proc p ON p.pronamespace = 'pg_catalog'::regnamespace
   AND p.proname ~ '^((query|table|schema|database|cursor)_to_xml|ts_(stat|rewrite)$|pg_.*_size$|lo_get$)'
   AND strpos(r.ev_action::text, ':funcid ' || p.oid || ' ') > 0
UNION
SELECT q.filled, 'row security of ' || q.reads::pg_catalog.regclass
  FROM query q JOIN pg_catalog.pg_class c ON c.oid = q.reads AND c.relrowsecurity;
