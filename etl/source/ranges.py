"""Page ranges: which tables are divided, and where. Pure policy, except ``cut_all``, which queries the source.

A range is a ctid slice of the heap. It needs no key, no index and no knowledge of the values: every row has exactly one
ctid, and within a snapshot no row moves. All ranges of a table have the same number of pages; TOAST is assumed to be
distributed in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import asyncpg

from etl.model.errors import is_transient
from etl.model.split import Split
from etl.model.table import PageRange, Part, Table
from etl.sessions.postgres import Source
from etl.sessions.query import text
from etl.source import catalog

OLDEST = 14
"""The first PostgreSQL with TID range scans; in older versions each range would read the whole table."""


def cut(parts: Sequence[Part], split: Split) -> tuple[PageRange, ...]:
    """Divides a table into page ranges; returns none if the table is small, or can be read only in one stream.

    A part that is smaller than a range is a range by itself. So is a foreign table, because its rows have no ctid.
    """
    size = split.size_of(sum(part.bytes for part in parts))
    if size is None or not all(part.may_cut for part in parts):
        return ()
    ranges = tuple(one for part in parts for one in _cut(part, size))
    return ranges if len(ranges) > 1 else ()


def _cut(part: Part, size: int) -> Iterator[PageRange]:
    if part.kind == "r" and part.bytes == 0:
        return  # it never had a row
    count = max(1, min(-(-part.bytes // size), part.pages))
    bounds = [None, *(part.pages * number // count for number in range(1, count)), None]
    for first, end in pairwise(bounds):
        yield PageRange(part, first, end, part.bytes // count)


async def cut_all(source: Source, tables: Sequence[Table], split_of: Callable[[Table], Split]) -> list[Table]:
    """The tables with their page ranges; queries the catalog only about tables that are big enough.

    Views, foreign tables, sorted tables (only one stream keeps the order) and materialized views (a REFRESH may replace
    the rows between two ranges) have no page ranges.
    """
    big = [table for table in tables if _may_be_cut(table) and split_of(table).size_of(table.bytes) is not None]
    if not big or source.get_server_version().major < OLDEST:
        return list(tables)
    parts = await catalog.parts(source, big)
    ranges = {table.oid: cut(parts[table.oid], split_of(table)) for table in big}
    return [replace(table, ranges=await _provable(source, table, ranges.get(table.oid, ()))) for table in tables]


def _may_be_cut(table: Table) -> bool:
    return table.kind in {"r", "p"} and not table.order_by


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
