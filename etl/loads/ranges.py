"""Loads a table in page ranges, side by side on several pairs of sessions.

The staging table is made and committed first. Each range is copied in its own transaction, so that a range that fails
is copied again without the others. The rows are not frozen: each has the xid of the transaction that wrote it. So the
publish waits until no snapshot is older than these transactions, and freezes the rows (``publish/horizon.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from etl.loads.way import Filled, Rows, Worker
from etl.model.table import PageRange
from etl.sessions import encoding
from etl.sessions.pair import Pair
from etl.sessions.postgres import Source, Target
from etl.sessions.tasks import together
from etl.source import checksum, partitions, stream
from etl.source.checksum import Checksum
from etl.target import staging, trust


@dataclass(frozen=True, slots=True)
class Ranges:
    """Loads a table in its page ranges."""

    rows: Rows

    async def fill(self, work: Worker) -> Filled:
        """Makes the staging table and streams each range into it; compares the checksum of all ranges together."""
        began = perf_counter()
        oid = await work(self._make)
        copies = [_Copy(self.rows, page_range) for page_range in self.rows.table.ranges]
        copied = await together(work(copy.whole, within=copy.range) for copy in copies)
        hashing = _part_of_hashes(copied) * (perf_counter() - began)
        hashes = [done.checksum for done in copied if done.checksum is not None]
        comparing = await work(lambda pair: self._compare(pair, hashes)) if hashes else 0.0
        return Filled(
            oid,
            sum(done.rows for done in copied),
            sum(done.bytes for done in copied),
            perf_counter() - began,
            max(done.xid or 0 for done in copied),
            tuple(done.xid for done in copied if done.xid is not None),
            leaves=frozenset(page_range.member.relation.oid for page_range in self.rows.table.ranges),
            verify_seconds=hashing + comparing if hashes else None,
        )

    async def _make(self, pair: Pair) -> int:
        """Makes and commits the staging table, into which several sessions will write; returns its oid."""
        writer = await pair.writer()
        made = await staging.create(writer, self.rows.table)
        await trust.refuse_types(writer, self.rows.table, made.oid)
        return made.oid

    async def _compare(self, pair: Pair, hashes: Sequence[Checksum]) -> float:
        """Compares the staged rows' checksum with that of all ranges; returns the seconds that it took."""
        reader, writer = await pair.both()
        began = perf_counter()
        await self.rows.compare(writer, sum(hashes[1:], hashes[0]), encoding.kept(reader, writer))
        return perf_counter() - began


@dataclass(frozen=True, slots=True)
class _Copied:
    """A copied range: its rows, bytes and transaction, and the source's checksum if the load compares checksums.

    ``seconds`` is what the range took, and ``hash_seconds`` what the checksum took of that.
    """

    rows: int
    bytes: int
    xid: int | None
    checksum: Checksum | None
    seconds: float
    hash_seconds: float


def _part_of_hashes(copied: Sequence[_Copied]) -> float:
    """The part of the ranges' time that their checksums took: ranges go on side by side, so seconds do not add up."""
    return sum(done.hash_seconds for done in copied) / sum(done.seconds for done in copied)


@dataclass(slots=True)
class _Copy:
    """The copying of one page range, over all its attempts.

    ``xid`` is the transaction of the last attempt, and ``sent`` the bytes that it has copied.
    """

    rows: Rows
    range: PageRange
    xid: int | None = None
    sent: int = field(default=0, init=False)

    async def whole(self, pair: Pair) -> _Copied:
        """Streams the range's rows in, unless an attempt whose commit was in doubt has done so already."""
        rows, table = self.rows, self.rows.table
        reader, writer = await pair.both()
        began = perf_counter()
        arrived = await staging.arrived(writer, table, self.xid) if self.xid is not None else 0
        async with rows.snapshot.reading(reader, table, self.range) as source:
            if table.is_partitioned:
                await partitions.refuse_replaced(source, self.range.member.relation)
            if not arrived:
                rows.advance(-self.sent)
                self.sent = 0
                arrived = await self._stream(source, writer)
            hashes, kept, copied = rows.verify == "checksum", encoding.kept(source, writer), perf_counter()
            hashed = await checksum.of_source(source, table, kept, self.range) if hashes else None
        ended = perf_counter()
        return _Copied(arrived, self.sent, self.xid, hashed, ended - began, ended - copied)

    async def _stream(self, source: Source, writer: Target) -> int:
        table = self.rows.table
        async with writer.transaction():
            self.xid = await staging.begin_range(writer)
            into = table.staged.identifier
            streamed = await stream.copy(source, writer, table, into, self._advance, within=self.range)
            self.rows.compare_counts(streamed, f"{table} ({self.range})")
        return streamed.rows_in

    def _advance(self, size: int) -> None:
        self.sent += size
        self.rows.advance(size)
