-- The number of transactions by which a session holds back the rows that VACUUM may remove. Source side.
-- :'pid': the session's process.
-- Try it: psql -v pid=4711 -f held_back.sql
SELECT pg_catalog.age(a.backend_xmin) AS transactions
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid = :'pid'::int;
