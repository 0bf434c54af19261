-- Whether a view or function rests on tables whose known views are dropped by now: somebody made it after we looked.
-- Rules of the tables themselves go with them; functions that were known have stopped the publish before.
-- Target side. Try it: psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}" -f raced.sql
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_rewrite r
        ON r.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = ANY (:'oids'::pg_catalog.oid[]) AND d.deptype = 'n'
       AND (d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass OR r.ev_class <> ALL (:'oids'::pg_catalog.oid[])));
