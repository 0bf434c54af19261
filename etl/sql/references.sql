-- Which relations are connected: by a foreign key, or as a partitioned table and its partition. Target side.
-- Try it: psql -f references.sql
SELECT k.conrelid AS oid, k.confrelid AS other
  FROM pg_catalog.pg_constraint k
 WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
UNION
SELECT i.inhrelid, i.inhparent
  FROM pg_catalog.pg_inherits i
  JOIN pg_catalog.pg_class c ON c.oid = i.inhparent AND c.relkind = 'p';
