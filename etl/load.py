"""One table's journey within a run, from the source's rows to a staging table that is ready to be published.

This is the file to read first. Two transactions on the target, each of which can be tried again by itself:

1. *fill*: the staging table is made, and the rows stream into it, read inside the run's snapshot. Because one
   transaction does both, COPY may write the rows frozen (all-visible at once, nothing left for vacuum).
2. *finish*: indexes, constraints, comments, statistics, and the ledger's row that says "staged", so that the
   ledger never says so of a table that is not.

The source is done with after *fill*: its vacuum does not wait for our indexes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import TypeVar

import structlog

from etl import checksum, ledger, live, staging, stream
from etl.catalog import Table
from etl.errors import ChecksumDiffers, RowsDiffer, Unclassified
from etl.ledger import Load
from etl.options import Options
from etl.postgres import Pair, Source, Target
from etl.progress import Progress
from etl.retry import retried
from etl.snapshot import Snapshot

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Filled:
    """What *fill* did: the rows and bytes that went through, and the seconds it took."""

    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Loader:
    """What all loads of a run share: its id, its snapshot, how to verify, the options, who is told of the progress."""

    run_id: str
    snapshot: Snapshot
    verify: str
    options: Options
    progress: Progress

    async def load(self, table: Table, pair: Pair) -> Load:
        """Stages one table; gives the load as the ledger has it.

        Raises LoadFailed, SnapshotLost, or the databases' own errors once trying again does not help.
        """
        started = datetime.now(UTC)
        self.progress.started(table)
        try:
            _refuse_unclassified(table)
            filled = await self._retried(table, pair, lambda: self._fill(table, pair))
        finally:
            await self.snapshot.table_read()
        load = await self._retried(table, pair, lambda: self._finish(table, pair, started, filled))
        self.progress.finished(table)
        _say(load)
        return load

    async def _fill(self, table: Table, pair: Pair) -> Filled:
        began = perf_counter()
        reader, writer = await pair.reader(), await pair.writer()
        verify = self.options.of(table).verify or self.verify
        async with writer.transaction():
            await staging.create(writer, table)
            async with self.snapshot.reading(reader, table) as source:
                streamed = await stream.copy(
                    source, writer, table, staging.name_of(table), lambda size: self.progress.advanced(table, size)
                )
                if verify != "none" and streamed.rows_out != streamed.rows_in:
                    raise RowsDiffer(f"{table}: the source gave {streamed.rows_out} rows, {streamed.rows_in} arrived")
                if verify == "checksum":
                    await _compare(source, writer, table)
        return Filled(streamed.rows_in, streamed.bytes, perf_counter() - began)

    async def _finish(self, table: Table, pair: Pair, started: datetime, filled: Filled) -> Load:
        writer = await pair.writer()
        async with writer.transaction():
            began = perf_counter()
            await self._build(writer, table)
            indexed = perf_counter()
            await staging.analyze(writer, table)
            if drifted := await live.drifted(writer, table.live, table.columns):
                log.info("table.drifted", table=str(table), changes=str(drifted))
            load = Load(
                table_name=str(table),
                schema_name=table.live.schema,
                relation_name=table.live.name,
                status="staged",
                started_at=started,
                finished_at=datetime.now(UTC),
                rows=filled.rows,
                bytes=filled.bytes,
                copy_seconds=round(filled.seconds, 3),
                index_seconds=round(indexed - began, 3),
                analyze_seconds=round(perf_counter() - indexed, 3),
                carried=table.carried,
                staging_oid=await staging.oid(writer, table),
                snapshot_id=self.snapshot.id,
            )
            await ledger.record(writer, self.run_id, load)
        return load

    async def _build(self, writer: Target, table: Table) -> None:
        """Makes indexes, constraints and comments, the source's and those that the reporting side added."""
        options = self.options.of(table)
        skipped = await staging.build_indexes(writer, table, skips=options.unbuildable_indexes == "skip")
        for name, reason in skipped.items():
            log.warning("index.skipped", table=str(table), index=name, error=reason)
        await staging.comment(writer, table.without(skipped))
        known = {*table.carried, *await ledger.carried(writer, table.live)}
        with_indexes = options.indexes not in {"source", "none"}
        schema = staging.staging_name(table).schema
        await staging.add(writer, await live.extras(writer, table.live, schema, known, with_indexes=with_indexes))

    async def _retried(self, table: Table, pair: Pair, step: Callable[[], Awaitable[T]]) -> T:
        """Does a step, again on new connections where what failed may pass by itself."""

        async def clear() -> None:
            self.progress.restarted(table)
            await pair.close()

        def say(attempt: int, error: str) -> None:
            log.warning("table.retried", table=str(table), attempt=attempt, error=error)

        return await retried(step, clear, say)


async def _compare(source: Source, target: Target, table: Table) -> None:
    there = await checksum.of_source(source, table)
    here = await checksum.of_target(target, table, staging.name_of(table))
    if there != here:
        raise ChecksumDiffers(f"{table}: the staged rows' checksum {here.sum:x} is not the source's {there.sum:x}")


def _refuse_unclassified(table: Table) -> None:
    if table.unclassified:
        raise Unclassified(
            f"on_new_column is fail, and the options do not say what to do with {', '.join(table.unclassified)};"
            " name it in columns, exclude or mask"
        )


def _say(load: Load) -> None:
    steps = ("rows", "bytes", "copy_seconds", "index_seconds", "analyze_seconds")
    fields = {step: getattr(load, step) for step in steps}
    log.info("table.loaded", table=load.table_name, seconds=round(load.seconds, 3), **fields)
