"""What a load does once a table's rows are in: the indexes of a big one side by side, and then the finish."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

import psycopg
import structlog
from psycopg import AsyncTransaction

from etl import ledger, live, staging
from etl.catalog import Index, Table
from etl.errors import IndexUnbuildable
from etl.fill import Filled
from etl.ledger import Load
from etl.postgres import Pair, Target
from etl.shape import TableOptions

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """What was done before the finish: the indexes, those that could not be built (with the reason), the seconds."""

    names: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


async def build_index(table: Table, index: Index, options: TableOptions, pair: Pair) -> str | None:
    """Builds one index of a table whose rows are committed; gives why it could not, where the options let it be."""
    try:
        await staging.build_index(await pair.writer(), table, index)
        return None
    except IndexUnbuildable as error:
        if options.unbuildable_indexes != "skip":
            raise
        return staging.reason_of(error)


async def finish(
    run_id: str, table: Table, pair: Pair, *, options: TableOptions, began: datetime, filled: Filled, built: Built
) -> Load:
    """Makes a filled staging table ready, and writes that it is staged, in one transaction; gives the load."""
    finishing = _Finish(run_id, table, await pair.writer(), options, began, filled, built)
    if options.unbuildable_indexes == "skip":
        return await finishing.whole(pipelined=False)  # each index needs its savepoint's answer
    try:
        return await finishing.whole(pipelined=True)
    except psycopg.Error as error:
        if not staging.is_unbuildable(error):
            raise
        return await finishing.whole(pipelined=False)  # one by one, which tells which index it was


@dataclass(frozen=True, slots=True)
class _Finish:
    """What one finish works on. Statements that need no answer share one round trip, which a tiny table feels."""

    run_id: str
    table: Table
    writer: Target
    options: TableOptions
    began: datetime
    filled: Filled
    built: Built

    async def whole(self, *, pipelined: bool) -> Load:
        """Does it all in one transaction, the indexes in one round trip where they are ``pipelined``."""
        start = perf_counter()
        # not transaction(), which in a pipeline waits for the answer to BEGIN
        async with AsyncExitStack() as transaction:
            async with self.writer.pipeline() if pipelined else nullcontext():
                await transaction.enter_async_context(AsyncTransaction(self.writer))
                await self._build()
                extras, oid = await self._look()
            await staging.add(self.writer, extras)
            indexed = perf_counter()
            await staging.analyze(self.writer, self.table)
            load = self._load(oid, self.built.seconds + indexed - start, perf_counter() - indexed)
            async with self.writer.pipeline():
                await ledger.record(self.writer, self.run_id, load)
                await transaction.aclose()
        return load

    async def _build(self) -> None:
        """Makes the source's indexes, constraints and comments."""
        skips, left = self.options.unbuildable_indexes == "skip", self.table.without(self.built.skipped)
        skipped = await staging.build_indexes(self.writer, left, self.built.names, skips=skips)
        for name, reason in (self.built.skipped | skipped).items():
            log.warning("index.skipped", table=str(self.table), index=name, error=reason)
        await staging.comment(self.writer, left.without(skipped))

    async def _look(self) -> tuple[list[str], int | None]:
        """Looks at the live table: gives what the reporting side added to it, as statements, and our own table's oid.

        All four are asked at once, and answered in one round trip.
        """
        live_table, schema = self.table.live, staging.staging_name(self.table).schema
        with_indexes = self.options.indexes not in {"source", "none"}
        carried, extras, drifted, oid = await asyncio.gather(
            ledger.carried(self.writer, live_table),
            live.extras(self.writer, live_table, schema, with_indexes=with_indexes),
            live.drifted(self.writer, live_table, self.table.columns),
            staging.oid(self.writer, self.table),
        )
        if drifted:
            log.info("table.drifted", table=str(self.table), changes=str(drifted))
        # what the source has brought again, or did not bring again because it is gone there, is no addition
        known = {*self.table.carried, *carried}
        return [statement for name, statement in extras if name not in known], oid

    def _load(self, oid: int | None, index_seconds: float, analyze_seconds: float) -> Load:
        return Load(
            table_name=str(self.table),
            schema_name=self.table.live.schema,
            relation_name=self.table.live.name,
            status="staged",
            started_at=self.began,
            finished_at=datetime.now(UTC),
            rows=self.filled.rows,
            bytes=self.filled.bytes,
            copy_seconds=round(self.filled.seconds, 3),
            index_seconds=round(index_seconds, 3),
            analyze_seconds=round(analyze_seconds, 3),
            carried=self.table.carried,
            staging_oid=oid,
            newest_xid=self.filled.newest_xid,
        )
