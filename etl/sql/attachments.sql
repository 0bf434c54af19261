-- The attachments of live tables and views: what belongs to them and does not come from the source, as the statements
-- that reattach it to the new table or view of the same name. Target side.
-- :'oids': the live tables and views.
-- Try it: python -m etl.sessions.query attachments | psql -v oids="{$(psql -Atc "SELECT 'orders'::regclass::oid")}"
--
-- Each file of attachments/ is a CTE of this query, and runs by itself, too. Its columns:
--   oid:            the live table or view
--   turn:           the order within the file
--   role:           the role that has to execute the statement (a grant's grantor), or NULL for this session's role
--   column_name:    the column that the statement names, if it is about one
--   classid, objid: the attached object in the catalog, if it has an entry of its own (as in pg_depend); an index
--   statement:      NULL where the object was dropped while this was read: pg_get_...def() read the catalog as it is
--
-- The result says of each statement
--   columns:        the columns of the table that it uses, and index, the index: without them it is left out
--   what:           the object, if the loss of one of its columns is no reason to drop it, so that the publish fails
--   is_comment:     whether it is the comment on the table or a column, before which the source's own comment goes
--   part:           the index, constraint or statistics on which it is the comment, before which the source's own goes, too
SELECT a.oid,
       a.role,
       ARRAY(SELECT a.column_name::text WHERE a.column_name IS NOT NULL
              UNION
             SELECT t.attname::text
               FROM pg_catalog.pg_depend d
               JOIN pg_catalog.pg_attribute t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid
              WHERE d.classid = a.classid AND d.objid = a.objid AND a.classid <> 'pg_catalog.pg_class'::regclass
                AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.oid AND d.refobjsubid > 0
              ORDER BY 1) AS columns,
       (SELECT c.relname::text FROM pg_catalog.pg_class c
         WHERE a.classid = 'pg_catalog.pg_class'::regclass AND c.oid = a.objid) AS index,
       CASE WHEN a.classid NOT IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass,
                                    'pg_catalog.pg_statistic_ext'::regclass) THEN
           pg_catalog.pg_describe_object(a.classid, a.objid, 0) END AS what,
       a.is_comment,
       CASE WHEN a.step = 12 THEN
           (SELECT 'index ' || c.relname FROM pg_catalog.pg_class c
             WHERE a.classid = 'pg_catalog.pg_class'::regclass AND c.oid = a.objid
             UNION ALL
            SELECT 'constraint ' || k.conname FROM pg_catalog.pg_constraint k
             WHERE a.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = a.objid AND k.contype <> 'f'
             UNION ALL
            SELECT 'statistics ' || s.stxname FROM pg_catalog.pg_statistic_ext s
             WHERE a.classid = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = a.objid) END AS part,
       a.statement
  FROM (
       -- The owner comes first: the privileges are granted in the owner's name.
       SELECT 1 AS step, false AS is_comment, oid, turn, role, column_name, classid, objid, statement FROM owner
       UNION ALL
       SELECT 2, false, oid, turn, role, column_name, classid, objid, statement FROM privileges
       UNION ALL
       -- Steps 3 to 10 concern one table or view each, and do not depend on each other.
       SELECT 3, false, oid, turn, role, column_name, classid, objid, statement FROM defaults
       UNION ALL
       SELECT 4, false, oid, turn, role, column_name, classid, objid, statement FROM row_security
       UNION ALL
       SELECT 5, false, oid, turn, role, column_name, classid, objid, statement FROM policies
       UNION ALL
       SELECT 6, false, oid, turn, role, column_name, classid, objid, statement FROM triggers
       UNION ALL
       SELECT 7, false, oid, turn, role, column_name, classid, objid, statement FROM rules
       UNION ALL
       SELECT 8, false, oid, turn, role, column_name, classid, objid, statement FROM clustering
       UNION ALL
       SELECT 9, false, oid, turn, role, column_name, classid, objid, statement FROM replica_identity
       UNION ALL
       SELECT 10, false, oid, turn, role, column_name, classid, objid, statement FROM security_labels
       UNION ALL
       -- Foreign keys come next: they read other tables of the publish.
       SELECT 11, false, oid, turn, role, column_name, classid, objid, statement FROM foreign_keys
       UNION ALL
       -- Comments come last: they need the other attachments, and no attachment needs a comment.
       SELECT 12, classid IS NULL, oid, turn, role, column_name, classid, objid, statement FROM comments
       ) AS a
 WHERE a.statement IS NOT NULL
 ORDER BY a.step, a.turn, a.oid, a.column_name, a.statement;
