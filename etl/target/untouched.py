"""Whether a live table is as the last publish left it: the same table, the same number of rows, none written by others.

A publish records its snapshot's xmin, and the transactions from there on that wrote the rows. A row with another xmin
from there on was written by somebody else, later. A deleted row leaves no trace, but it is missing from the count.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from etl.model import limits
from etl.model.base import Live
from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import bound, target_query
from etl.sessions.transaction import answers
from etl.target.merge import Merge

_YOUNG = (
    "(pg_catalog.age(xmin) <= (SELECT pg_catalog.age('{}'::pg_catalog.xid)) AND pg_catalog.age(xmin) >= -1073741824)"
)
"""Within a transaction that has written, age() counts from its id, so that of its subtransactions is negative.

The first comparison decides nearly all rows.
"""

_COUNT = "SELECT pg_catalog.count(*) AS rows, pg_catalog.count(*) FILTER (WHERE {strange}) AS strange FROM ONLY {table}"

_COUNTS = (
    "SELECT {bucket} AS bucket, pg_catalog.count(*) AS rows, pg_catalog.count(*) FILTER (WHERE {strange}) AS strange"
    " FROM ONLY {table} AS l GROUP BY 1"
)

_MERGED = "SELECT pg_catalog.count(*) AS rows FROM {pairs} WHERE staged IS NOT NULL"

_LACKING = (
    "SELECT pg_catalog.count(*) AS rows FROM {staged} AS s WHERE NOT EXISTS (SELECT FROM {rows} AS l"
    " WHERE {same_key} AND NOT pg_catalog.record_image_ne(ROW({old}), ROW({new})))"
)

_STAYING = (
    "SELECT pg_catalog.count(*) AS rows FROM {gone} AS g"
    " WHERE EXISTS (SELECT FROM (SELECT * FROM {rows}) AS l WHERE {same_gone})"
)

_LEFT = (
    "SELECT pg_catalog.count(*) AS rows, pg_catalog.count(*) FILTER (WHERE {written}) AS written,"
    " pg_catalog.count(*) FILTER (WHERE {strange}) AS strange,"
    " coalesce(pg_catalog.array_agg(DISTINCT xmin::text::pg_catalog.int8) FILTER (WHERE {young}), '{{}}')"
    " AS xids FROM {rows}"
)
"""A trigger may write rows in a subtransaction, which has an id of its own."""


@dataclass(frozen=True, slots=True)
class Left:
    """The rows that a merge has left: their number, those that it has written, and those that it was to write.

    ``strange`` are those that others have written since the last publish, ``lacking`` the staged rows that are not
    there, ``staying`` the rows that were to go, ``xids`` the young transactions that wrote the rows.
    """

    rows: int
    written: int
    strange: int
    merged: int
    lacking: int
    staying: int
    xids: tuple[int, ...]


async def states(target: Target, tables: Iterable[TargetName]) -> dict[TargetName, Live]:
    """The live tables as they are now, those that exist and are plain tables; ``xmin`` is that of this moment."""
    return _states(await (await target.execute(target_query("live_states"), arrays(tables))).fetchall())


def _states(rows: Iterable[Mapping[str, Any]]) -> dict[TargetName, Live]:
    return {
        TargetName(row["schema"], row["name"]): Live(row["oid"], row["database"], row["columns"], row["xmin"])
        for row in rows
    }


async def differing(target: Target, tables: Mapping[TargetName, Live]) -> dict[TargetName, str]:
    """The live tables that are others than those of their last publish, as far as their catalog shows it, and why."""
    now = await states(target, tables)
    found = {table: _unlike(now.get(table), was) for table, was in tables.items()}
    return {table: why for table, why in found.items() if why is not None}


def _unlike(now: Live | None, was: Live) -> str | None:
    if now is None:
        return "the live table is gone, or is no plain table any more"
    if differs := was.unlike(now):
        return differs
    if not 0 <= now.xmin - was.xmin < limits.DELTA_IDS:
        return "too many transactions have passed in the target, or its transaction ids have gone back"
    return None


async def doubt(
    target: Target, table: TargetName, was: Live, rows: int, before: Sequence[sql.Composable] = ()
) -> str | None:
    """Why a live table may not be as its last publish left it, with so many rows; None if it is.

    It takes one round trip, of which ``before`` are the first statements.
    """
    count = sql.SQL(_COUNT).format(strange=_strange(was), table=table.identifier)
    found, (row,) = await answers(target, [*before, ask_state(table), count])
    return judge(table, was, rows, found, row)


def ask_state(table: TargetName) -> sql.Composed:
    """The query for a live table as it is now, for ``judge``."""
    return bound("live_states", arrays([table]))


def counts(table: TargetName, was: Live, bucket: sql.Composable) -> sql.Composed:
    """The SELECT of the live rows ``l`` of each bucket, and of those of others, whose sums are for ``judge``."""
    return sql.SQL(_COUNTS).format(bucket=bucket, strange=_strange(was), table=table.identifier)


def judge(
    table: TargetName, was: Live, rows: int, found: Iterable[Mapping[str, Any]], counted: Mapping[str, int]
) -> str | None:
    """Why a live table is not as its last publish left it, with so many rows: by its state and its counts."""
    if differs := _unlike(_states(found).get(table), was):
        return differs
    if counted["strange"]:
        return f"others have written {counted['strange']:,} rows of the live table"
    if counted["rows"] != rows:
        return f"the live table has {counted['rows']:,} rows, and {rows:,} were published"
    return None


async def next_id(target: Target) -> int:
    """An id (64 bits) that no transaction below which has written to a table that is locked now."""
    cursor = await target.execute(
        "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS id"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["id"])


async def left(target: Target, one: Merge, rows: sql.Composable, *, since: int, xmin: int, was: Live | None) -> Left:
    """Counts the rows of a locked table after a merge, whose transactions are ``since`` and later ones.

    ``xmin`` is that of the snapshot: what later transactions write is younger. ``was`` is the table's state after its
    last publish, if the merge was of changes alone.
    """
    (lacking,) = (await _row(target, one.composed(_LACKING))).values()
    staying = await _staying(target, one, rows)
    (merged,) = (await _row(target, one.composed(_MERGED))).values()
    written, strange = _young(since), _strange(was) if was else sql.SQL("false")
    parts = {"rows": rows, "young": _young(min(xmin, since)), "written": written}
    counted = await _row(
        target, sql.SQL(_LEFT).format(**parts, strange=sql.SQL("{} AND NOT {}").format(strange, written))
    )
    numbers = counted["rows"], counted["written"], counted["strange"], merged, lacking, staying
    return Left(*numbers, tuple(counted["xids"]))


async def _staying(target: Target, one: Merge, rows: sql.Composable) -> int:
    """The rows that were to go, and are still there. Only a trigger or a rule of the table itself can keep one."""
    if one.gone is None or not one.into.fires:
        return 0
    assert one.into.keys.key is not None
    query = one.composed(_STAYING, rows=rows, gone=one.gone, same_gone=one.into.keys.key.same("l", "g"))
    (staying,) = (await _row(target, query)).values()
    return int(staying)


async def _row(target: Target, query: sql.Composed) -> dict[str, Any]:
    row = await (await target.execute(query)).fetchone()
    assert row is not None
    return row


def _array(xids: Iterable[int]) -> sql.SQL:
    return sql.SQL(f"'{{{', '.join(str(xid % 2**32) for xid in xids)}}}'::pg_catalog.xid[]")


def _strange(was: Live) -> sql.Composed:
    """The condition of rows that others have written since a publish."""
    return sql.SQL("{} AND xmin <> ALL ({})").format(_young(was.xmin), _array(was.xids))


def _young(xmin: int) -> sql.SQL:
    return sql.SQL(_YOUNG.format(xmin % 2**32))


def known(states: Mapping[TargetName, Live], table: TargetName, was: Live) -> str | None:
    """What of a live table differs, as far as its catalog shows it; None if nothing does."""
    return _unlike(states.get(table), was)
