"""Counts the rows of both sides: the source's, with those that have changed, and the live ones, with those of others.

Usually both sides count at the same time. If the last load has deleted rows, this one will probably delete some, too.
Then each side counts the rows of each bucket of keys in the same scan, and ``gone.py`` needs no scan of its own.
"""

# docs/decisions.md, "An unchanged row is counted and not sent"

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from etl.loads.proof import NOT_LONG
from etl.loads.way import Rows
from etl.model import limits
from etl.model.base import Published
from etl.sessions import encoding
from etl.sessions.postgres import Source, Target
from etl.sessions.tasks import both
from etl.sessions.transaction import BEGIN, answers, at_once
from etl.source import changes, stream
from etl.source.buckets import Buckets
from etl.source.changes import Changes
from etl.target import untouched
from etl.target.keys import Key

THERE = sql.Identifier("pg_temp", "etl_buckets")
HERE = sql.Identifier("pg_temp", "etl_live_buckets")
"""The numbers of rows of each bucket in the source, and in the live table."""

_MAKE_THERE = (
    "CREATE TEMPORARY TABLE {there} (bucket pg_catalog.int8, rows pg_catalog.int8, changed pg_catalog.int8)"
    " ON COMMIT DROP"
)

_MAKE_HERE = "CREATE TEMPORARY TABLE {here} ON COMMIT DROP AS {counts}"

_SUMS = (
    "SELECT coalesce(pg_catalog.sum(rows), 0)::pg_catalog.int8 AS rows,"
    " coalesce(pg_catalog.sum({more}), 0)::pg_catalog.int8 AS {more} FROM {counts}"
)

_SPAN = (
    "SELECT pg_catalog.min({first})::pg_catalog.int8 AS low, pg_catalog.max({first})::pg_catalog.int8 AS high"
    " FROM ONLY {live}"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """The source's rows, and why the live table is not as it was left, if so.

    With ``buckets``, the numbers of each are in temporary tables of the writer's open transaction.
    """

    found: Changes
    differs: str | None
    buckets: Buckets | None = None


@dataclass(frozen=True, slots=True)
class Counting:
    """The counts of one table since ``published``; ``key`` is the live table's."""

    rows: Rows
    key: Key
    published: Published
    source: Source
    writer: Target

    async def refuses_sample(self, at_most: float) -> str | None:
        """Why a sample of the source's pages makes it a waste of time to count all rows; None if it does not.

        ``at_most`` is the share of changed rows that a delta may have; if it is 0, one row is too many.
        """
        was = self.published.base
        sample = await changes.sample(self.source, self.rows.table, was.seen.xmin) if at_most < 1 else None
        if sample is None or not sample.changed:
            return None
        if at_most and (sample.at_least <= at_most or sample.at_least * was.rows <= limits.DELTA_ROWS):
            return None
        return f"about {max(1.0, 100 * sample.share):.0f} % of its rows have changed"

    async def count(self, leaves: Collection[int]) -> Counted:
        """Counts all rows; ``leaves`` are the partitions that are the same as in the base."""
        table, was = self.rows.table, self.published.base
        if self.published.deleted and was.rows > limits.PROOF_ROWS_AT_ONCE and not table.is_partitioned:
            return await self._by_buckets()
        return await self._side_by_side(leaves)

    async def _side_by_side(self, leaves: Collection[int]) -> Counted:
        was, table = self.published.base, self.rows.table
        here = untouched.doubt(self.writer, table.live, self.published.live, was.rows, NOT_LONG)
        return Counted(*await both(changes.count(self.source, table, was.seen.xmin, leaves), here))

    async def _by_buckets(self) -> Counted:
        """Counts one side after the other, because the target keeps the numbers of both; leaves a transaction open."""
        was, table = self.published.base, self.rows.table
        some = await divided(self.rows, self.key, was.rows, self.source, self.writer)
        await at_once(self.writer, [BEGIN, *NOT_LONG, sql.SQL(_MAKE_THERE).format(there=THERE)])
        head = await changes.head(self.source, table)
        select = changes.counts(table, some.of_source, was.seen.xmin)
        await stream.copy(self.source, self.writer, table, THERE, self.rows.advance, select=select)
        counts = untouched.counts(table.live, self.published.live, some.of_target("l"))
        make = sql.SQL(_MAKE_HERE).format(here=HERE, counts=counts)
        sums = [_sums(THERE, "changed"), _sums(HERE, "strange")]
        (there,), states, (here,) = await answers(
            self.writer, [make, sums[0], untouched.ask_state(table.live), sums[1]]
        )
        differs = untouched.judge(table.live, self.published.live, was.rows, states, here)
        return Counted(Changes(there["rows"], there["changed"], *head), differs, some)


async def divided(rows: Rows, key: Key, number: int, source: Source, writer: Target) -> Buckets:
    """The buckets of a table of so many rows: ranges, if the key is an integer."""
    names = {column.name: column for column in rows.table.columns}
    some = Buckets.of([names[column.name] for column in key.columns], number, encoding.kept(source, writer))
    if some.integer is None:
        return some
    span = sql.SQL(_SPAN).format(first=sql.Identifier(some.integer.name), live=rows.table.live.identifier)
    ((row,),) = await answers(writer, [*NOT_LONG, span])
    return some if row["low"] is None else some.in_ranges(row["low"], row["high"])


def _sums(counts: sql.Identifier, more: str) -> sql.Composed:
    return sql.SQL(_SUMS).format(counts=counts, more=sql.Identifier(more))
