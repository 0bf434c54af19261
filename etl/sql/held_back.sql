-- By how many transactions a session holds back what vacuum may remove. Source side.
-- Try it: psql -v pid=4711 -f held_back.sql
SELECT pg_catalog.age(a.backend_xmin) AS transactions
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid = :'pid'::int;
