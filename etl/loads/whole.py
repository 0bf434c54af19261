"""Loads a table in one stream. One transaction makes the staging table and fills it, so COPY can freeze the rows."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from etl.loads.way import Filled, Rows, Worker
from etl.sessions import encoding
from etl.sessions.pair import Pair
from etl.sessions.postgres import Source, Target
from etl.sessions.transaction import BEGIN, COMMIT, begun
from etl.source import checksum, partitions, stream
from etl.target import staging, trust


@dataclass(frozen=True, slots=True)
class Whole:
    """Loads a table in one stream."""

    rows: Rows

    async def fill(self, work: Worker) -> Filled:
        """Makes the staging table and streams all rows into it, in one transaction."""
        return await work(self._fill)

    async def _fill(self, pair: Pair) -> Filled:
        rows, table = self.rows, self.rows.table
        began = perf_counter()
        reader, writer = await pair.both()
        async with begun(writer):
            made = await staging.create(writer, table, BEGIN)
            await trust.refuse_types(writer, table, made.oid)
            async with rows.snapshot.reading(reader, table) as source:
                leaves = await partitions.leaves(source, table)
                streamed = await stream.copy(source, writer, table, table.staged.identifier, rows.advance)
                rows.compare_counts(streamed, table)
                verify_seconds = await self._compare(source, writer) if rows.verify == "checksum" else None
            await writer.execute(COMMIT)
        seconds = perf_counter() - began
        figures = streamed.rows_in, streamed.bytes, seconds
        return Filled(made.oid, *figures, xids=(made.xid,), leaves=leaves, verify_seconds=verify_seconds)

    async def _compare(self, source: Source, writer: Target) -> float:
        """Compares the checksums of both sides; returns the seconds that it took."""
        began, kept = perf_counter(), encoding.kept(source, writer)
        await self.rows.compare(writer, await checksum.of_source(source, self.rows.table, kept), kept)
        return perf_counter() - began
