"""The rows of a table that have changed since an earlier snapshot of the same history, as xmin tells.

A row's ``xmin`` is the transaction that wrote this version of it. A transaction below the earlier snapshot's xmin had
ended when that was taken. So a row that has such an xmin, and is visible now, was visible then: it is not deleted, and
nobody has written it since. Every other row counts as changed, also one that the earlier snapshot did show.

``age()`` counts from the next id, so it also tells a very old row, whose id stays in the tuple after it was frozen: its
age is negative, or larger than that of the snapshot.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import text
from etl.sessions.stage import Stage

# The subquery is evaluated once, and not for each row.
_CHANGED = "pg_catalog.age(xmin) BETWEEN 0 AND (SELECT pg_catalog.age('{}'::pg_catalog.xid))"

_COUNT = (
    "SELECT count(*) AS rows, count(*) FILTER (WHERE {changed}) AS changed,"
    " count(*) FILTER (WHERE tableoid <> {oid}) AS others, {next_id} AS next_id FROM {table}"
)

_SNAPSHOT = "(pg_catalog.pg_snapshot_{}(pg_catalog.pg_current_snapshot())::pg_catalog.text)::pg_catalog.int8"


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows of a table in the snapshot, and how many of them have changed; ``next_id`` is the snapshot's xmax.

    ``others`` are the rows of other relations, which have come to inherit from the table.
    """

    rows: int
    changed: int
    others: int
    next_id: int

    @property
    def unchanged(self) -> int:
        """The rows that have not changed."""
        return self.rows - self.changed


async def xmin(source: Source) -> int:
    """The xmin, as 64 bits, of the snapshot in which the session reads."""
    return int(await source.fetchval(f"SELECT {_SNAPSHOT.format('xmin')}"))


async def count(source: Source, table: Table, since: int) -> Changes:
    """Counts the rows in one scan: all, and those that have changed since a snapshot with this xmin."""
    parts = {"changed": _changed(since), "oid": str(table.oid), "next_id": _SNAPSHOT.format("xmax")}
    counts = sql.SQL(f"{Stage.COUNT} {_COUNT}").format(
        table=table.source.identifier, **{name: sql.SQL(part) for name, part in parts.items()}
    )
    row = await source.fetchrow(text(counts))
    assert row is not None
    return Changes(**dict(row))


def changed(table: Table, since: int) -> sql.Composed:
    """The SELECT of the changed rows as they are to arrive."""
    columns = sql.SQL(", ").join(column.listed for column in table.columns)
    condition = sql.SQL(f"{_changed(since)} AND tableoid = {table.oid}")
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(columns, table.source.identifier, condition)


def keys(table: Table, columns: Sequence[str]) -> sql.Composed:
    """The SELECT of the keys of all rows."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("SELECT {} FROM {} WHERE tableoid = {}").format(names, table.source.identifier, table.oid)


def _changed(since: int) -> str:
    return _CHANGED.format(since % 2**32)
