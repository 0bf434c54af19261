-- What identifies live tables, and the rows in them that others might have written. Target side.
-- :'schemas', :'names': the tables.
-- Try it: psql -v schemas='{public}' -v names='{orders}' -f live_states.sql
--
-- database: the server and the database; a restored backup has the same, and then the ledger is as old as the tables
-- columns:  a digest of what a column is beside its rows: after DROP and ADD COLUMN the rows show another value. If a
--           column has a type of a user's, all attributes of composite types are in it, for the same reason
-- xmin:     that of this snapshot, as 64 bits: all transactions below it have ended
SELECT n.nspname::text AS schema, c.relname::text AS name, c.oid::int8 AS oid,
       (SELECT pg_catalog.concat(s.system_identifier, ' ', d.oid)
          FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d
         WHERE d.datname = current_database()) AS database,
       (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(
                   ' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated,
                   a.attmissingval::text,
                   CASE WHEN a.atttypid >= 16384 THEN
                       (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(
                                   ' ', i.attrelid, i.attnum, i.atttypid, i.atttypmod, i.attisdropped), ','
                                   ORDER BY i.attrelid, i.attnum))
                          FROM pg_catalog.pg_attribute i JOIN pg_catalog.pg_class t ON t.oid = i.attrelid
                         WHERE t.relkind = 'c' AND i.attnum > 0) END), ',' ORDER BY a.attnum))
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8 AS xmin
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest(:'schemas'::text[], :'names'::text[]))
   AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid);
