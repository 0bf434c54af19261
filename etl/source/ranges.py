"""Page ranges: which tables are divided, and where. Pure policy, except ``cut_all``, which queries the source.

A range is a ctid slice of the heap. It needs no key, no index and no knowledge of the values: every row has exactly one
ctid, and within a snapshot no row moves. All ranges of a table have the same number of pages; TOAST is assumed to be
distributed in proportion.
"""

# docs/decisions.md, "Page ranges arrive unfrozen"

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import asyncpg

from etl.model.catalog import Member
from etl.model.split import Split
from etl.model.table import PageRange, Table
from etl.model.transient import is_transient
from etl.sessions.postgres import Source
from etl.sessions.query import text
from etl.source import catalog

OLDEST = 14
"""The first PostgreSQL with TID range scans; in older versions each range would read the whole table."""


def cut(members: Sequence[Member], split: Split) -> tuple[PageRange, ...]:
    """Cuts a table into page ranges; gives none where it is better, or only possible, to read it in one stream.

    A member that is smaller than a range is one by itself; so is a foreign one, whose rows have no ctid.
    """
    size = split.size_of(sum(one.bytes for one in members))
    if size is None or not all(one.may_cut for one in members):
        return ()
    ranges = tuple(one for member in members for one in _cut(member, size))
    return ranges if len(ranges) > 1 else ()


def _cut(member: Member, size: int) -> Iterator[PageRange]:
    if member.relation.kind == "r" and member.bytes == 0:
        return  # nothing was ever in it
    count = max(1, min(-(-member.bytes // size), member.pages))
    bounds = [None, *(member.pages * number // count for number in range(1, count)), None]
    for first, end in pairwise(bounds):
        yield PageRange(member, first, end, member.bytes // count)


async def cut_all(source: Source, tables: Sequence[Table], split_of: Callable[[Table], Split]) -> list[Table]:
    """The tables with their page ranges; queries the catalog only about tables that are big enough.

    Views, foreign tables, sorted tables (only one stream keeps the order) and materialized views (a REFRESH may replace
    the rows between two ranges) have no page ranges.
    """
    big = [table for table in tables if _may_be_cut(table) and split_of(table).size_of(table.bytes) is not None]
    if not big or source.get_server_version().major < OLDEST:
        return list(tables)
    members = await catalog.members(source, big)
    ranges = {table.oid: cut(members[table.oid], split_of(table)) for table in big}
    return [replace(table, ranges=await _provable(source, table, ranges.get(table.oid, ()))) for table in tables]


def _may_be_cut(table: Table) -> bool:
    return table.source.kind in {"r", "p"} and not table.order_by


async def _provable(source: Source, table: Table, ranges: tuple[PageRange, ...]) -> tuple[PageRange, ...]:
    """The ranges, or none if the options' SQL cannot be planned with them: it may name the table with its schema."""
    if not ranges or not table.has_sql:
        return ranges
    trial = source.transaction()  # within the snapshot's own, a savepoint
    await trial.start()
    try:
        await source.fetch("EXPLAIN " + text(table.copied(ranges[0])))
        return ranges
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        return ()
    finally:
        await trial.rollback()
