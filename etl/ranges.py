"""Page ranges: which tables are cut, and where. Pure policy, but for ``cut_all``, which asks the source.

A range is a ctid slice of the heap: no key, no index and no knowledge of the values is needed, every row has exactly
one ctid, and inside a snapshot no row moves. The heap is cut evenly; a range's TOAST is taken to be in proportion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import asyncpg

from etl import catalog
from etl.catalog import PageRange, Part, Table
from etl.errors import is_transient
from etl.postgres import Source
from etl.query import text

FROM_BYTES = 8 << 30
"""Tables from here on are cut: one stream takes them minutes, and less is not worth a publish that may have to wait
until snapshots older than their rows are gone (``horizon.py``). Figures: benchmarks/NOTES.md."""

RANGE_BYTES = 1 << 30
"""A range of theirs: some 10 seconds' work, which is what a lost connection costs, and what ETL_JOBS share out."""

MOST_RANGES = 1000
"""Larger tables have larger ranges."""

OLDEST = 14
"""The first PostgreSQL with TID range scans; before, each range would read the whole table."""

_UNITS = {"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Split:
    """What the option ``split`` says: so many ranges, or ranges of so many bytes; neither is the default."""

    ranges: int | None = None
    bytes: int | None = None

    @classmethod
    def parse(cls, value: object) -> Split:
        """Reads the option; raises ValueError with the remedy."""
        match value:
            case Split():
                return value
            case bool():
                return cls() if value else cls(ranges=1)
            case int() if 1 <= value <= MOST_RANGES:
                return cls(ranges=value)
            case str() if (found := re.fullmatch(r"([1-9][0-9]{0,5}) ?(MB|GB|TB)", value.strip())) is not None:
                return cls(bytes=int(found[1]) * _UNITS[found[2]])
        raise ValueError(
            f"is {value!r}; write false, a number of ranges from 1 to {MOST_RANGES}, or the size of one, such as 512MB"
        )

    def size_of(self, whole: int) -> int | None:
        """Gives the bytes of one range of a table of ``whole`` bytes; None says that it is not to be cut."""
        if self.ranges is None and self.bytes is None:
            size = RANGE_BYTES if whole >= FROM_BYTES else whole
        else:
            size = self.bytes or -(-whole // (self.ranges or 1))
        return max(size, whole // MOST_RANGES, 1) if size < whole else None


def cut(parts: Sequence[Part], split: Split) -> tuple[PageRange, ...]:
    """Cuts a table into page ranges; gives none where it is better, or only possible, to read it in one stream.

    A part that is smaller than a range is one by itself; so is a foreign one, whose rows have no ctid.
    """
    size = split.size_of(sum(part.bytes for part in parts))
    if size is None or not all(part.may_cut for part in parts):
        return ()
    ranges = tuple(one for part in parts for one in _cut(part, size))
    return ranges if len(ranges) > 1 else ()


def _cut(part: Part, size: int) -> Iterator[PageRange]:
    if part.kind == "r" and part.bytes == 0:
        return  # nothing was ever in it
    count = max(1, min(-(-part.bytes // size), part.pages))
    bounds = [None, *(part.pages * number // count for number in range(1, count)), None]
    for first, end in pairwise(bounds):
        yield PageRange(part, first, end, part.bytes // count)


async def cut_all(source: Source, tables: Sequence[Table], split_of: Callable[[Table], Split]) -> list[Table]:
    """Gives the tables with their page ranges; the catalog is asked only about those that are big enough.

    Views, materialized views (another may be refreshed into their place between two ranges), foreign tables, and
    sorted tables, whose order one stream keeps, are not cut.
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
    """Gives the ranges if the table's SQL can be planned on them: options may name the table with its schema."""
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
