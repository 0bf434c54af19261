"""One run: its tables staged from one snapshot of the source, then published in one transaction.

The control session (``control.py``) lives as long as the run; if it is lost, the run cannot publish any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import structlog

from etl.commands import control, shard
from etl.ledger import ledger
from etl.loads import survey
from etl.loads.load import Loader
from etl.loads.progress import Progress
from etl.loads.schedule import Schedule
from etl.model.clock import Began
from etl.model.errors import EXPECTED, ConnectionFailed, RunEnded, RunFailed, SnapshotLost, one_line
from etl.model.record import Finished, Load
from etl.model.selection import Relation
from etl.model.status import LoadStatus, RunStatus
from etl.model.table import Table
from etl.publish import inplace
from etl.publish import publish as publishing
from etl.publish.policy import Policy
from etl.sessions.pair import Pair
from etl.sessions.postgres import Source, Target, close_source
from etl.sessions.tasks import together
from etl.settings.settings import Settings
from etl.source import snapshot, stream
from etl.source.snapshot import Snapshot
from etl.target import guard, live, memory, staging

SNAPSHOTS = 3
"""How many snapshots a run takes at most, when the sessions that hold them are lost."""

WATCH_SECONDS = 2.0
"""Seconds between two looks at whether somebody has given the run up."""

log = structlog.get_logger()


async def run(settings: Settings, progress: Progress) -> Finished:
    """Does one run; gives how it ended when all went well.

    Raises EtlError otherwise, with the ledger closed and the staging tables dropped.
    """
    stream.keep_buffers()
    with _not_begun(settings):
        session, source = await control.sessions(settings)
    try:
        with _not_begun(settings):
            chosen = await control.prepare(settings, session, source)
            await inplace.refuse(session, Policy.of(settings, settings.options.live_names(chosen)).in_place)
        return await _Run(settings, session, chosen, progress, source).whole()
    finally:
        await close_source(source)
        await session.close()


@contextmanager
def _not_begun(settings: Settings) -> Iterator[None]:
    """Logs how a run ended that fails before the ledger knows of it."""
    began = perf_counter()
    try:
        yield
    except EXPECTED as error:
        reason = settings.redact(one_line(error))
        _say(Finished(settings.run_id, RunStatus.FAILED, (), perf_counter() - began), 0, reason)
        raise


def _say(finished: Finished, tables: int, error: str | None) -> None:
    """Logs how a run ended, and why where it is not well."""
    log.info(
        "run.finished",
        status=finished.status,
        tables=tables,
        rows=finished.rows,
        bytes=finished.bytes,
        seconds=round(finished.seconds, 3),
        **({"error": error} if error else {}),
    )


@dataclass(slots=True)
class _Run:
    """A run under way: what it was given (``chosen``: the source's tables), and the loads that it has done.

    ``source`` is an idle session there, which holds the first snapshot; ``staged`` are the live tables that an earlier
    try of this shard has staged already.
    """

    settings: Settings
    control: Target
    chosen: Sequence[Relation]
    progress: Progress
    source: Source
    loads: list[Load] = field(default_factory=list)
    staged: frozenset[Relation] = frozenset()
    began: float = field(default_factory=perf_counter)
    # The control session does one thing at a time; loads that end together take turns.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def live(self) -> dict[Relation, Relation]:
        """The live tables, and the source's table of each."""
        return self.settings.options.live_names(self.chosen)

    @property
    def is_shard(self) -> bool:
        """Whether other processes do other tables of this run, from one snapshot."""
        return self.settings.snapshot == "run"

    @property
    def left(self) -> list[Relation]:
        """The source's tables that are to be loaded."""
        return [table for live, table in self.live.items() if live not in self.staged]

    async def whole(self) -> Finished:
        """Stages and publishes; whatever goes wrong, the ledger says so and nothing half done stays in staging."""
        try:
            await self._open()
            await self._stage()
            return self._finished(await self._publish())
        except asyncio.CancelledError:
            await self._give_up(RunStatus.INTERRUPTED, "stopped by a signal")
            raise
        except BaseException as error:
            await self._give_up(RunStatus.FAILED, one_line(error))
            raise

    async def _open(self) -> None:
        """Writes into the ledger what is about to be done."""
        settings = self.settings
        if self.is_shard:
            await ledger.join_run(self.control, settings.run_id, settings.publish)
        else:
            await ledger.open_run(self.control, settings.run_id, settings.publish)
            await ledger.plan(self.control, settings.run_id, self.live, settings.shard)
        log.info("run.started", tables=len(self.chosen), jobs=settings.jobs, publish=settings.publish)

    async def _stage(self) -> None:
        """Stages all tables, from another snapshot if the first is lost; raises RunFailed when a load failed."""
        for attempt in range(1, SNAPSHOTS + 1):
            self.loads.clear()
            held = await self._snapshot()
            try:
                await self._unless_ended(held)
                break
            except SnapshotLost as error:
                if self.is_shard:
                    raise await shard.lost(self.control, self.settings.run_id, held.id) from error
                if attempt == SNAPSHOTS:
                    raise
                log.warning("snapshot.lost", attempt=attempt, error=one_line(error))
            finally:
                await held.release()
        if failed := [load.table_name for load in self.loads if load.status == LoadStatus.FAILED]:
            names = ", ".join(failed)
            raise RunFailed(f"{len(failed)} of {len(self.loads)} tables failed ({names}); nothing was published")

    async def _snapshot(self) -> Snapshot:
        settings, run_id = self.settings, self.settings.run_id
        if self.is_shard:
            await close_source(self.source)
            joined = await shard.join(self.control, settings, self.live)
            self.staged = joined.staged
            return Snapshot(joined.snapshot_id, joined.at, None, len(self.left))
        application = guard.application(run_id)
        taken = await snapshot.take(settings.source, application, self.chosen, settings.options, self.source)
        await ledger.took_snapshot(self.control, run_id, taken.id, taken.at)
        return taken

    async def _unless_ended(self, held: Snapshot) -> None:
        """Loads the tables; stops, and raises RunEnded, when somebody gives the run up meanwhile."""
        done = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(held, done))
                await self._load_all(held)
                done.set()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _watch(self, held: Snapshot, done: asyncio.Event) -> None:
        while not done.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), WATCH_SECONDS)
            async with self.turn:
                await ledger.must_run(self.control, self.settings.run_id, held.id)

    async def _load_all(self, held: Snapshot) -> None:
        """Loads the tables, the largest first, with ``ETL_JOBS`` pairs of connections."""
        settings = self.settings
        async with self.turn:
            tables = await survey.survey(settings, self.control, held, self.left)
            await survey.say_drifted(self.control, tables)
            share = await memory.plan(self.control, settings.index_memory, settings.jobs)
            carried = await ledger.carried(self.control, list(self.live))
            owners = await live.owners(self.control, list(self.live))
        self.progress.planned(tables)
        session = settings.source, settings.target, guard.application(settings.run_id), share
        schedule = Schedule([Pair(*session) for _ in range(settings.jobs)])
        shared = settings.run_id, held, settings.verify, settings.options, self.progress, schedule, carried, owners
        loader = Loader(*shared)
        try:
            await together(self._load(loader, table) for table in tables)
        finally:
            await schedule.close()

    async def _load(self, loader: Loader, table: Table) -> None:
        """Loads one table; a failure is recorded and said, so that the others show theirs in the same night."""
        try:
            load = await loader.load(table)
        except (SnapshotLost, ConnectionFailed, RunEnded):
            raise  # no other table would fare better
        except EXPECTED as error:
            reason = self.settings.redact(one_line(error))
            log.error("table.failed", table=str(table), error=reason)
            began = loader.began.get(str(table), Began())
            load = Load.failed(str(table), table.live, began, reason)
            async with self.turn:
                await ledger.record(self.control, self.settings.run_id, load)
        self.loads.append(load)

    async def _publish(self) -> RunStatus | LoadStatus:
        """Publishes what was staged, as ETL_PUBLISH says; gives the run's status."""
        if self.settings.publish == "defer":
            return LoadStatus.STAGED
        settings, policy = self.settings, Policy.of(self.settings, self.live)
        reconnect = partial(control.connect, settings)
        publishing.say(await publishing.publish(self.control, settings.run_id, list(self.live), policy, reconnect))
        return RunStatus.PUBLISHED

    async def _give_up(self, status: RunStatus, reason: str) -> None:
        """Drops what was staged and closes the run in the ledger, on a new session where the old one is lost."""
        settings, reason = self.settings, self.settings.redact(reason)
        self._finished(status, reason)
        try:
            async with asyncio.timeout(control.CLEARING_SECONDS[status]):
                is_locked = await control.lives(self.control)
                if not is_locked:
                    # The locks were lost with it, so another run may have taken the tables by now.
                    self.control = await control.connect(settings)
                    await guard.clear(self.control, settings.run_id, [])
                lost = await self._lost()
                if is_locked:
                    await staging.drop(self.control, lost)
                    await staging.drop_aside(self.control, lost)  # where the publish was done, and its end was not
                async with self.control.transaction():  # the run first: its end is why the others are given up
                    if not self.is_shard:
                        await ledger.close_run(self.control, settings.run_id, status, reason)
                    await ledger.not_published(self.control, settings.run_id, reason, lost)
        except (*EXPECTED, TimeoutError) as error:
            log.error("run.uncleared", error=f"{one_line(error)}; the next run will clear what this one left")

    async def _lost(self) -> list[Relation]:
        """Gives the live tables whose staging is of no use any more: all, but in a shard, which may be tried again."""
        if not self.is_shard:
            return list(self.live)
        try:
            await ledger.must_run(self.control, self.settings.run_id)
        except RunEnded:
            return list(self.live)
        kept = await ledger.staging_oids(self.control, self.settings.run_id)
        return [table for table in self.live if table not in kept]

    def _finished(self, status: RunStatus | LoadStatus, error: str | None = None) -> Finished:
        finished = Finished(self.settings.run_id, status, tuple(self.loads), perf_counter() - self.began)
        _say(finished, len(self.chosen), error)
        return finished
