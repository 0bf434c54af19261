"""The rows of a table that have changed since an earlier snapshot of the same history, as xmin tells.

A row's ``xmin`` is the transaction that wrote this version of it. A transaction below the earlier snapshot's xmin had
ended when that was taken. So a row that has such an xmin, and is visible now, was visible then: it is not deleted, and
nobody has written it since. Every other row counts as changed, also one that the earlier snapshot did show.

``age()`` counts from the next id, so it also tells a very old row, whose id stays in the tuple after it was frozen: its
age is negative, or larger than that of the snapshot.

The rule holds for each relation that stores rows and whose rows the earlier load has read. In a partition of which that
is not known, all rows count as changed.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

from psycopg import sql

from etl.model import limits
from etl.model.base import Seen
from etl.model.catalog import Column
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import text
from etl.sessions.stage import Stage

# The subquery is evaluated once, and not for each row; the first comparison decides nearly all rows.
_CHANGED = "pg_catalog.age(xmin) <= (SELECT pg_catalog.age('{}'::pg_catalog.xid)) AND pg_catalog.age(xmin) >= 0"

_COUNT = (
    "count(*) AS rows, count(*) FILTER (WHERE {changed}) AS changed,"
    " (SELECT tableoid::pg_catalog.int8 FROM ONLY {name} LIMIT 1) AS oid, {next_id} AS next_id"
)
"""Counted with ONLY. The table's oid is that of a row, because another table may have got the name."""

_HEAD = "SELECT {next_id} AS next_id, (SELECT tableoid::pg_catalog.int8 FROM ONLY {name} LIMIT 1) AS oid"

_SAMPLED = "count(*) AS rows, count(*) FILTER (WHERE {}) AS changed"
_PAGES = (
    "SELECT coalesce(sum(rows), 0)::pg_catalog.int8 AS rows, coalesce(sum(changed), 0)::pg_catalog.int8 AS changed,"
    " count(*) AS pages FROM ({} GROUP BY tableoid, pg_catalog.split_part(ctid::pg_catalog.text, ',', 1)) AS page"
)
"""The text of a ctid is (page,line)."""

_COUNT_LEAVES = (
    "SELECT n.id AS next_id, l.oid, l.rows, l.changed FROM (SELECT {next_id} AS id) AS n"
    " LEFT JOIN ({leaves} GROUP BY tableoid) AS l ON true"
)
_OF_LEAF = "tableoid::pg_catalog.int8 AS oid, count(*) AS rows, count(*) FILTER (WHERE {changed}) AS changed"
"""The statement counts the rows of each relation that it reads; if it reads no row, it returns one row of NULL."""

_Row: TypeAlias = Mapping[str, Any]

_XMAX = "(pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text)::pg_catalog.int8"


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows of a table in the snapshot, and how many of them have changed; ``next_id`` is the snapshot's xmax.

    ``known`` are the relations in which xmin tells the changed rows, and ``new`` the partitions of which all rows count
    as changed, by oid.
    """

    rows: int
    changed: int
    next_id: int
    known: tuple[int, ...]
    new: tuple[int, ...] = ()

    @property
    def unchanged(self) -> int:
        """The rows that have not changed."""
        return self.rows - self.changed


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of so many pages of a table, and how many of them have changed."""

    rows: int
    changed: int
    pages: int

    @property
    def share(self) -> float:
        """The share of changed rows among those of the sample."""
        return self.changed / max(self.rows, 1)

    @property
    def at_least(self) -> float:
        """The share of changed rows that the table has at least, by two standard errors.

        All rows of a page may have changed together, so the error is that of as many rows as there are pages.
        """
        return self.share - 2 * sqrt(self.share * (1 - self.share) / max(self.pages, 1))


async def seen(source: Source) -> Seen:
    """What the snapshot has seen in which the session reads."""
    return Seen.parse(await source.fetchval("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text"))


async def sample(source: Source, table: Table, since: int) -> Sample | None:
    """Counts the rows, and those that have changed, on some of a table's pages, taken at random.

    It counts the pages that had rows: most pages of the table may be TOAST, or have no row that ``where`` lets through.
    Returns None if these are too few to tell much.
    """
    if (share := share_of_sample(table)) is None:
        return None
    counted = sql.SQL(_SAMPLED).format(sql.SQL(_changed(since)))
    rows = table.select(counted, is_only=not table.is_partitioned, share=share)
    (row,) = await _counted(source, sql.SQL(_PAGES).format(rows))
    found = Sample(row["rows"], row["changed"], row["pages"])
    return found if found.pages >= limits.SAMPLE_LEAST_PAGES else None


def share_of_sample(table: Table) -> float | None:
    """The share of a table's pages that a sample reads; None if these are too few to tell much."""
    if (pages := table.bytes / limits.PAGE_BYTES) < limits.SAMPLE_LEAST_PAGES:
        return None
    usual = min(limits.SAMPLE_SHARE, limits.SAMPLE_PAGES / pages)
    return min(1.0, max(usual, 2 * limits.SAMPLE_LEAST_PAGES / pages))


async def count(source: Source, table: Table, since: int, leaves: Collection[int] = ()) -> Changes:
    """Counts the rows in one scan: all, and those that have changed since a snapshot with this xmin.

    ``leaves`` are the partitions that the load of that snapshot has read, and that are the same.
    """
    ours = {"changed": sql.SQL(_changed(since)), "next_id": sql.SQL(_XMAX)}
    if table.is_partitioned:
        of_leaves = table.select(sql.SQL(_OF_LEAF).format(**ours))
        return _by_leaf(await _counted(source, sql.SQL(_COUNT_LEAVES).format(leaves=of_leaves, **ours)), leaves)
    counted = sql.SQL(_COUNT).format(name=table.source.identifier, **ours)
    (row,) = await _counted(source, table.select(counted, is_only=True))
    return Changes(row["rows"], row["changed"], row["next_id"], known=(row["oid"] or table.oid,))


async def _counted(source: Source, select: sql.Composable) -> Sequence[_Row]:
    return await source.fetch_at_once(f"{Stage.COUNT} {text(select)}")


def _by_leaf(found: Sequence[_Row], leaves: Collection[int]) -> Changes:
    """The changes of a partitioned table, of which there is a row for each leaf with rows."""
    rows = [row for row in found if row["oid"] is not None]
    known, new = ([row for row in rows if (row["oid"] in leaves) is is_known] for is_known in (True, False))
    return Changes(
        rows=sum(row["rows"] for row in rows),
        changed=sum(row["changed"] for row in known) + sum(row["rows"] for row in new),
        next_id=found[0]["next_id"],
        known=tuple(row["oid"] for row in known),
        new=tuple(row["oid"] for row in new),
    )


async def head(source: Source, table: Table) -> tuple[int, tuple[int, ...]]:
    """The snapshot's xmax, and the oid of the locked table that has the name: for counts by bucket."""
    (row,) = await _counted(source, sql.SQL(_HEAD).format(name=table.source.identifier, next_id=sql.SQL(_XMAX)))
    return row["next_id"], (row["oid"] or table.oid,)


def counts(table: Table, bucket: sql.Composable, since: int) -> sql.Composed:
    """The SELECT of the rows of each bucket, and of those that have changed, of a table without partitions."""
    expressions = sql.SQL("{} AS bucket, count(*) AS rows, count(*) FILTER (WHERE {}) AS changed")
    return table.select(expressions.format(bucket, sql.SQL(_changed(since))), is_only=True) + sql.SQL(" GROUP BY 1")


def changed(table: Table, since: int, found: Changes) -> sql.Composed:
    """The SELECT of the changed rows, of the relations that were counted, as they are to arrive."""
    columns = sql.SQL(", ").join(column.listed for column in table.columns)
    if not table.is_partitioned:
        return table.select(columns, None, f"({_changed(since)})", is_only=True)
    conditions = [f"{_changed(since)} AND {_of(found.known)}"] + ([_of(found.new)] if found.new else [])
    return table.select(columns, None, f"({' OR '.join(conditions)})")


def keys(table: Table, columns: Sequence[Column], found: Changes, *more: str) -> sql.Composed:
    """The SELECT of the keys, as they arrive, of the relations that were counted; ``more`` are conditions."""
    return some(table, sql.SQL(", ").join(column.listed for column in columns), found, *more)


def buckets(table: Table, bucket: sql.Composable, found: Changes) -> sql.Composed:
    """The SELECT of the number of rows in each bucket, of the relations that were counted."""
    expressions = sql.SQL("{} AS bucket, count(*) AS rows").format(bucket)
    return sql.SQL("{} GROUP BY 1").format(some(table, expressions, found))


def some(table: Table, expressions: sql.Composable, found: Changes, *more: str) -> sql.Composed:
    """The SELECT of expressions over the rows of the relations that were counted; ``more`` are conditions."""
    if not table.is_partitioned:
        return table.select(expressions, None, *more, is_only=True)
    return table.select(expressions, None, _of((*found.known, *found.new)), *more)


def _of(relations: Sequence[int]) -> str:
    """The condition that a row is stored in one of the relations. A partition may be attached after the count."""
    return f"tableoid = ANY ('{{{', '.join(map(str, relations))}}}'::pg_catalog.oid[])"


def _changed(since: int) -> str:
    return _CHANGED.format(since % 2**32)
