-- The number of locks that the sessions of the server may hold together. Target side.
-- Try it: psql -f lock_room.sql
SELECT m.setting, m.sessions, m.setting * m.sessions AS room
  FROM (SELECT current_setting('max_locks_per_transaction')::int AS setting,
               current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int
                 AS sessions) m;
