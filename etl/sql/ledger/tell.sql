-- Writes how far loads of a run are, for everybody who looks. Target side; needs the ledger.
-- :'run_id': the run; :'at': the time; :'names': the source's tables; and of each :'began': when its load began,
-- :'steps': what it does, :'so_far_rows', :'so_far_bytes': what it has copied, :'expected': the bytes that it has.
--
-- A row that another session has locked is left for the next time: its load is just being recorded. So nobody waits for
-- this statement, nor this statement for anybody; and a load that has ended meanwhile stays as it is. It returns the
-- tables whose loads were written.
--
-- Try it:
--   psql -v run_id=tonight -v at=now -v names='{public.orders}' -v began='{now}' -v steps='{rows}' \
--     -v so_far_rows='{1}' -v so_far_bytes='{1}' -v expected='{2}' -c BEGIN -f ledger/tell.sql -c ROLLBACK
WITH told AS (
    SELECT l.run_id, l.table_name, u.began, u.step, u.so_far_rows, u.so_far_bytes, u.expected
      FROM unnest(:'names'::text[], :'began'::timestamptz[], :'steps'::text[], :'so_far_rows'::int8[],
                  :'so_far_bytes'::int8[], :'expected'::int8[])
           AS u (name, began, step, so_far_rows, so_far_bytes, expected)
      JOIN etl.loads l ON l.table_name = u.name
     WHERE l.run_id = :'run_id' AND l.status = 'loading'
       FOR UPDATE OF l SKIP LOCKED
)
UPDATE etl.loads l
   SET started_at = t.began, step = t.step, rows_so_far = t.so_far_rows, bytes_so_far = t.so_far_bytes,
       bytes_expected = t.expected, told_at = :'at'
  FROM told t
 WHERE l.run_id = t.run_id AND l.table_name = t.table_name AND l.status = 'loading'
RETURNING l.table_name;
