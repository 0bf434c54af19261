-- A view that was just created in staging: its owner, and the relations that it reads. Target side.
-- :'name': the view, as SQL has it.
-- Try it: psql -v name=orders -f staged_view.sql
SELECT c.oid,
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       ARRAY(SELECT DISTINCT d.refobjid
               FROM pg_catalog.pg_rewrite w
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> c.oid
              WHERE w.ev_class = c.oid) AS rests_on
  FROM pg_catalog.pg_class c
 WHERE c.oid = (:'name'::text)::pg_catalog.regclass;
