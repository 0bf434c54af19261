"""How a table's rows come into its staging table: in one stream, or in page ranges.

In one stream, the transaction that makes the staging table fills it, so COPY may write the rows frozen. Ranges are
written on several sessions, so the table is made and committed first, and their rows carry the ids of their
transactions: the publish waits until no snapshot is older than those, and freezes them (``horizon.py``). Each range is
a transaction of its own, so that one that fails is copied again without the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from etl.model.errors import ChecksumDiffers, RowsDiffer
from etl.model.table import PageRange, Table
from etl.sessions import encoding
from etl.sessions.pair import Pair
from etl.sessions.postgres import Source, Target
from etl.sessions.transaction import BEGIN, COMMIT, at_once, begun
from etl.source import checksum, stream
from etl.source.checksum import Checksum
from etl.source.snapshot import Snapshot
from etl.source.stream import Streamed
from etl.target import staging, trust

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Filled:
    """What came in: into which table, rows, bytes on the wire, and the seconds it took.

    ``newest_xid`` is the newest of the transactions that wrote the rows, or None where the rows are frozen; ``source``
    the checksum of what the source gave, of page ranges that are still to be compared.
    """

    oid: int
    rows: int
    bytes: int
    seconds: float
    newest_xid: int | None = None
    source: Checksum | None = None


async def whole(snapshot: Snapshot, table: Table, pair: Pair, verify: str, advance: Advance) -> Filled:
    """Makes the staging table and streams all rows into it, in one transaction; compares as ``verify`` says."""
    began = perf_counter()
    reader, writer = await pair.both()
    async with begun(writer):
        oid = await staging.oid_of(await at_once(writer, [BEGIN, *staging.creation(table)]))
        await trust.refuse_types(writer, table, oid)
        async with snapshot.reading(reader, table) as source:
            streamed = await stream.copy(source, writer, table, table.staged.identifier, advance)
            _compare_rows(str(table), streamed, verify)
            if verify == "checksum":
                kept = encoding.kept(source, writer)
                await _compare(writer, table, await checksum.of_source(source, table, kept), kept)
        await writer.execute(COMMIT)
    return Filled(oid, streamed.rows_in, streamed.bytes, perf_counter() - began)


async def make(table: Table, pair: Pair) -> int:
    """Makes the staging table, for sessions that will each write a page range; gives its oid."""
    writer = await pair.writer()
    oid = await staging.oid_of(await at_once(writer, staging.creation(table)))
    await trust.refuse_types(writer, table, oid)
    return oid


@dataclass(slots=True)
class RangeFill:
    """One page range on its way, over its tries; ``xid`` is the transaction of the last one."""

    snapshot: Snapshot
    table: Table
    oid: int
    range: PageRange
    verify: str
    advance: Advance
    xid: int | None = None
    sent: int = field(default=0, init=False)

    async def copy(self, pair: Pair) -> Filled:
        """Streams the range's rows in, unless a try whose end nobody saw has brought them already."""
        began = perf_counter()
        reader, writer = await pair.both()
        arrived = await staging.arrived(writer, self.table, self.xid) if self.xid is not None else 0
        async with self.snapshot.reading(reader, self.table, self.range) as source:
            if not arrived:
                self.advance(-self.sent)
                self.sent = 0
                arrived = await self._stream(source, writer)
            hashes, kept = self.verify == "checksum", encoding.kept(source, writer)
            hashed = await checksum.of_source(source, self.table, kept, self.range) if hashes else None
        return Filled(self.oid, arrived, self.sent, perf_counter() - began, self.xid, hashed)

    async def _stream(self, source: Source, writer: Target) -> int:
        async with writer.transaction():
            self.xid = await staging.begin_range(writer)
            into = self.table.staged.identifier
            streamed = await stream.copy(source, writer, self.table, into, self._advance, within=self.range)
            _compare_rows(f"{self.table} ({self.range})", streamed, self.verify)
        return streamed.rows_in

    def _advance(self, size: int) -> None:
        self.sent += size
        self.advance(size)


def joined(parts: Sequence[Filled], seconds: float) -> Filled:
    """Gives what all ranges of a table brought in."""
    hashes = [part.source for part in parts if part.source is not None]
    return Filled(
        parts[0].oid,
        sum(part.rows for part in parts),
        sum(part.bytes for part in parts),
        seconds,
        max(part.newest_xid or 0 for part in parts),
        sum(hashes[1:], hashes[0]) if hashes else None,
    )


def _compare_rows(what: str, streamed: Streamed, verify: str) -> None:
    if verify != "none" and streamed.rows_out != streamed.rows_in:
        raise RowsDiffer(f"{what}: the source gave {streamed.rows_out} rows, {streamed.rows_in} arrived")


async def compare_staged(table: Table, pair: Pair, filled: Filled) -> None:
    """Raises ChecksumDiffers when the rows of all ranges together are not those that the source has hashed."""
    assert filled.source is not None, "the source has hashed nothing"
    reader, writer = await pair.both()
    await _compare(writer, table, filled.source, encoding.kept(reader, writer))


async def _compare(target: Target, table: Table, there: Checksum, kept: str | None) -> None:
    here = await checksum.of_target(target, table, table.staged.identifier, kept)
    if there != here:
        raise ChecksumDiffers(f"{table}: the staged rows' checksum {here.sum:x} is not the source's {there.sum:x}")
