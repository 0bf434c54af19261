"""One run: its tables staged from one snapshot of the source, then published in one transaction.

The control session, on the target, lives as long as the run. It holds the run's table locks, writes the
ledger and does the publish; if it is lost, the locks are lost, and so the run cannot publish any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

import structlog

from etl import catalog, guard, ledger, snapshot, staging
from etl import publish as publishing
from etl.catalog import Table
from etl.errors import (
    EXPECTED,
    ConnectionFailed,
    EtlError,
    RunFailed,
    SnapshotLost,
    one_line,
)
from etl.ledger import Load
from etl.load import Loader
from etl.postgres import Pair, Target, close_source, connect_source, connect_target
from etl.progress import Progress
from etl.selection import Relation
from etl.settings import Settings
from etl.snapshot import Snapshot

CLEANUP_SECONDS = 4.0
"""How long a run that is stopped may take to clear up; ECS and Docker send SIGKILL after 10 to 30 seconds."""

SNAPSHOTS = 3
"""How many snapshots a run takes at most, when the sessions that hold them are lost."""

SNAPSHOT_WAIT = 300.0
"""Seconds that a shard waits for the run's snapshot to stand in the ledger."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended: its ledger status (or ``staged`` where the publish is deferred), loads and seconds."""

    run_id: str
    status: str
    loads: tuple[Load, ...]
    seconds: float

    @property
    def rows(self) -> int:
        """Rows copied, over all tables."""
        return sum(load.rows or 0 for load in self.loads)

    @property
    def bytes(self) -> int:
        """Bytes that went through the stream, over all tables."""
        return sum(load.bytes or 0 for load in self.loads)


async def run(settings: Settings, progress: Progress) -> Finished:
    """Does one run; gives how it ended when all went well.

    Raises EtlError otherwise, with the ledger closed and the staging tables dropped.
    """
    began = perf_counter()
    async with _control(settings) as control:
        chosen = await prepare(settings, control)
        try:
            async with _recorded(settings, control, chosen):
                log.info("run.started", tables=len(chosen), jobs=settings.jobs, publish=settings.publish)
                loads = await _staged(settings, control, chosen, progress)
                status = await _published(settings, control, chosen)
        except BaseException as error:
            status = "interrupted" if isinstance(error, asyncio.CancelledError) else "failed"
            _say_finished(Finished(settings.run_id, status, (), perf_counter() - began), tables=len(chosen))
            raise
    finished = Finished(settings.run_id, status, tuple(loads), perf_counter() - began)
    _say_finished(finished, tables=len(chosen))
    return finished


@asynccontextmanager
async def _control(settings: Settings) -> AsyncIterator[Target]:
    control = await connect_target(settings.target, guard.application(settings.run_id))
    try:
        yield control
    finally:
        await control.close()


async def prepare(settings: Settings, control: Target) -> list[Relation]:
    """Finds the run's tables in the source, and makes sure that nobody else loads them.

    Raises ConfigurationError for unknown tables and for one database given twice, TableLocked otherwise.
    """
    source = await connect_source(settings.source, guard.application(settings.run_id))
    try:
        await guard.refuse_same_database(source, control, settings.source, settings.target)
        chosen = settings.selection.resolve(await catalog.relations(source))
    finally:
        await close_source(source)
    await guard.lock(control, settings.run_id, chosen)
    await ledger.prepare(control)
    await guard.clear(control, settings.run_id, chosen)
    await staging.create_schemas(control, {relation.schema for relation in chosen})
    return chosen


@asynccontextmanager
async def _recorded(settings: Settings, control: Target, chosen: Sequence[Relation]) -> AsyncIterator[None]:
    """Opens the run in the ledger; when the block fails or is stopped, clears its staging and says why."""
    await ledger.open_run(control, settings.run_id, settings.publish)
    try:
        yield
    except asyncio.CancelledError:
        await _give_up(settings, control, chosen, "interrupted", "stopped by a signal")
        raise
    except BaseException as error:
        await _give_up(settings, control, chosen, "failed", one_line(error))
        raise


async def _give_up(settings: Settings, control: Target, chosen: Sequence[Relation], status: str, reason: str) -> None:
    reason = settings.redact(reason)
    try:
        async with asyncio.timeout(CLEANUP_SECONDS):
            if control.closed or control.broken:
                control = await connect_target(settings.target, guard.application(settings.run_id))
            await staging.drop(control, chosen)
            await ledger.not_published(control, settings.run_id, reason)
            await ledger.close_run(control, settings.run_id, status, reason)
    except (*EXPECTED, TimeoutError) as error:
        log.error("run.uncleared", error=f"{one_line(error)}; the next run will clear what this one left")


async def _staged(settings: Settings, control: Target, chosen: Sequence[Relation], progress: Progress) -> list[Load]:
    """Stages all tables, from another snapshot if the first is lost; raises RunFailed when any load failed."""
    for attempt in range(1, SNAPSHOTS + 1):
        held = await _snapshot(settings, control, chosen)
        try:
            loads = await _load_all(settings, control, held, chosen, progress)
            break
        except SnapshotLost as error:
            if attempt == SNAPSHOTS or settings.snapshot != "own" or settings.publish == "table":
                raise
            log.warning("snapshot.lost", attempt=attempt, error=one_line(error))
        finally:
            await held.release()
    if failed := [load.table_name for load in loads if load.status == "failed"]:
        nothing = "the others were published" if settings.publish == "table" else "nothing was published"
        raise RunFailed(f"{len(failed)} of {len(loads)} tables failed ({', '.join(failed)}); {nothing}")
    return loads


async def _snapshot(settings: Settings, control: Target, chosen: Sequence[Relation]) -> Snapshot:
    if settings.snapshot == "run":
        return await _run_snapshot(settings, control, chosen)
    taken = await snapshot.take(settings.source, guard.application(settings.run_id), chosen)
    await ledger.took_snapshot(control, settings.run_id, taken.id, taken.at)
    return taken


async def _run_snapshot(settings: Settings, control: Target, chosen: Sequence[Relation]) -> Snapshot:
    """Waits in the ledger for the snapshot that another process holds for this run."""
    try:
        async with asyncio.timeout(SNAPSHOT_WAIT):
            while True:
                row = await ledger.run_of(control, settings.run_id)
                if row and row["snapshot_id"]:
                    return Snapshot(row["snapshot_id"], row["snapshot_at"], None, len(chosen))
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise SnapshotLost(
            f"no snapshot for run {settings.run_id} in the ledger after {SNAPSHOT_WAIT:g} s; start"
            " `etl snapshot` for the run, or leave ETL_SNAPSHOT at own"
        ) from None


@dataclass(slots=True)
class _Work:
    """The tables still to be loaded, and what became of the others."""

    queue: deque[Table]
    loads: list[Load] = field(default_factory=list)
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)


async def _load_all(
    settings: Settings, control: Target, held: Snapshot, chosen: Sequence[Relation], progress: Progress
) -> list[Load]:
    """Loads the tables, the largest first, ``ETL_JOBS`` at a time."""
    tables = await _describe(settings, held, chosen)
    progress.planned(tables)
    work = _Work(deque(sorted(tables, key=lambda table: table.bytes, reverse=True)))
    loader = Loader(settings.run_id, held, settings.verify, progress)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings.jobs, len(tables))):
                group.create_task(_worker(settings, control, loader, work))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return work.loads


async def _describe(settings: Settings, held: Snapshot, chosen: Sequence[Relation]) -> list[Table]:
    """Reads the catalog as of the snapshot, and puts in what the options say."""
    if held.holder is not None:
        tables = await catalog.tables(held.holder, chosen)
    else:
        source = await connect_source(settings.source, guard.application(settings.run_id))
        try:
            tables = await catalog.tables(source, chosen)
        finally:
            await close_source(source)
    if gone := {str(relation) for relation in chosen} - {str(table) for table in tables}:
        raise EtlError(f"{', '.join(sorted(gone))} was dropped in the source while the run began; run again")
    return settings.options.apply(tables)


async def _worker(settings: Settings, control: Target, loader: Loader, work: _Work) -> None:
    pair = Pair(settings.source, settings.target, guard.application(settings.run_id))
    try:
        while work.queue:
            table = work.queue.popleft()
            work.loads.append(await _load(settings, control, loader, table, pair, work))
    finally:
        await pair.close()


async def _load(settings: Settings, control: Target, loader: Loader, table: Table, pair: Pair, work: _Work) -> Load:
    """Loads one table; a failure is recorded and said, so that the other tables show theirs in the same night."""
    started = datetime.now(UTC)
    try:
        load = await loader.load(table, pair)
        if settings.publish == "table":
            async with work.publishing:
                await publishing.publish(
                    control, settings.run_id, [Relation(table.schema, table.name)], closes_run=False
                )
        return load
    except (SnapshotLost, ConnectionFailed):
        raise  # no other table would fare better
    except EXPECTED as error:
        reason = settings.redact(one_line(error))
        log.error("table.failed", table=str(table), error=reason)
        failed = Load(str(table), table.schema, table.name, "failed", started, datetime.now(UTC), error=reason)
        async with work.publishing:
            await ledger.record(control, settings.run_id, failed)
        return failed


async def _published(settings: Settings, control: Target, chosen: Sequence[Relation]) -> str:
    """Publishes what was staged, as ETL_PUBLISH says; gives the run's status."""
    if settings.publish == "defer":
        return "staged"
    if settings.publish == "table":
        await ledger.close_run(control, settings.run_id, "published")
        return "published"
    done = await publishing.publish(control, settings.run_id, chosen)
    publishing.say(done)
    return "published"


def _say_finished(finished: Finished, tables: int) -> None:
    log.info(
        "run.finished",
        status=finished.status,
        tables=tables,
        rows=finished.rows,
        bytes=finished.bytes,
        seconds=round(finished.seconds, 3),
    )
