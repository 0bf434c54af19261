"""``etl snapshot``: holds one snapshot of the source open until all tables of a run are staged from it.

A run has one snapshot, so it has one holder. A holder that is started again takes another snapshot only if no table is
staged from the first one. Otherwise the run fails: the shards that staged those tables may have ended, and would not
load them again from another snapshot.
"""

# docs/decisions.md, "Processes meet in the ledger"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

import asyncpg

from etl.commands import saved_plan
from etl.commands.answers import SnapshotAnswer
from etl.commands.control import Control, connect
from etl.ledger import book, ledger
from etl.ledger.rows import Progress
from etl.loads import prospects, survey
from etl.loads.decision import Decision
from etl.loads.prospects import Deciding
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import EXPECTED, RunEnded, SnapshotLost, one_line
from etl.model.name import Planned
from etl.model.status import LoadStatus, RunStatus
from etl.model.table import Table
from etl.publish import obstacles
from etl.sessions.postgres import Source, Target, source_session
from etl.sessions.query import source_query
from etl.sessions.retry import retried
from etl.settings.settings import Settings
from etl.source import catalog, choice, snapshot
from etl.source.snapshot import Snapshot
from etl.target import claims, disclosure, guard

log = get_logger()


async def hold(settings: Settings) -> SnapshotAnswer:
    """Holds the run's snapshot until all its tables are staged, or the run is published.

    Raises SnapshotLost if the source's session is lost or ETL_SNAPSHOT_MAX_AGE is over, RunEnded if the run has ended,
    TableLocked if another process holds a snapshot for the run. After most errors, the ledger has the run as failed.
    """
    session = await connect(settings)
    holding = _Holding(Control(settings, session))
    try:
        await guard.lock_snapshot(session, settings.run_id)
        async with source_session(settings.source, guard.application(settings.run_id)) as source:
            planned = await _planned(settings, session, source)
            await obstacles.refuse_privileges(session, [table.live for table in planned])
            await book.ensure(session)
            await ledger.join_run(session, settings.run_id, "defer", settings.job)
            await ledger.must_run(session, settings.run_id)
            async with holding.recorded():
                await _foresee(settings, session, source, planned)
        async with holding.recorded():
            return await holding.whole(planned)
    finally:
        await holding.session.close()


async def _planned(settings: Settings, target: Target, source: Source) -> tuple[Planned, ...]:
    """Finds the run's tables in the source."""
    await guard.refuse_same_database(source, target, settings.source, settings.target)
    return await choice.choose(source, settings.options, await saved_plan.selection(settings, target, None))


async def _foresee(settings: Settings, target: Target, source: Source, planned: Sequence[Planned]) -> None:
    """Raises ConfigurationError for what no shard could load; warns of what stands in the way until it is mended."""
    await claims.refuse(target, [table.live for table in planned], settings.job)
    await disclosure.foresee(source, target, planned, settings.options, settings.job)
    tables = settings.options.apply(await catalog.tables(source, [table.source for table in planned]))
    await obstacles.warn(settings, source, target, tables)


@dataclass(slots=True)
class _Holding:
    """The holding of a snapshot; the control session has the advisory lock of the run's holder."""

    control: Control
    began: float = field(default_factory=perf_counter)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.control.settings

    @property
    def session(self) -> Target:
        """The present control session, which is another one after a reconnect."""
        return self.control.session

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[None]:
        """Closes the run in the ledger if the block fails, so that no shard waits for a snapshot in vain."""
        try:
            yield
        except asyncio.CancelledError:
            await self.give_up(RunStatus.INTERRUPTED, "the process that held the snapshot was stopped by a signal")
            raise
        except BaseException as error:
            await self.give_up(RunStatus.FAILED, one_line(error))
            raise

    async def whole(self, planned: Sequence[Planned]) -> SnapshotAnswer:
        """Takes the snapshot unless all tables are staged, writes it into the ledger, and waits for the shards."""
        if await self._is_staged(planned):
            log.info("snapshot.not_needed", tables=len(planned))
            return SnapshotAnswer(self.settings.run_id, None, None, len(planned), "staged", 0.0)
        settings, application = self.settings, guard.application(self.settings.run_id)
        chosen = [table.source for table in planned]
        held = await snapshot.take(settings.source, application, chosen, settings.options)
        self.began = perf_counter()
        reason = "failed"
        try:
            assert held.holder is not None
            # options that do not fit the tables are an error here, before shards begin
            tables = settings.options.apply(await catalog.tables(held.holder, chosen))
            await claims.refuse(self.session, [table.live for table in tables], settings.job)
            tables = await disclosure.refuse(self.session, tables, settings.options, settings.job)
            decision = await self._decided(held, tables)
            async with self.session.transaction():
                await ledger.must_run(self.session, self.settings.run_id)
                await ledger.begin_loads(self.session, self.settings.run_id, planned, anew=False)
                await ledger.decided(self.session, settings.run_id, decision.way)
                await ledger.took_snapshot(self.session, self.settings.run_id, held.id, held.at)
            prospects.say(decision)
            log.info("snapshot.held", snapshot_id=held.id, snapshot_at=held.at.isoformat(), tables=len(planned))
            reason = await self._until_staged(held)
        finally:
            seconds = await self._release(held, reason)
        return SnapshotAnswer(self.settings.run_id, held.id, held.at, len(planned), reason, seconds)

    async def _decided(self, held: Snapshot, tables: Sequence[Table]) -> Decision:
        """Decides for all shards whether the run swaps its tables or merges rows into them."""
        assert held.holder is not None
        described = await survey.described(self.settings, held.holder, tables)
        deciding = Deciding(self.settings, self.session, obstacles.of_merges)
        return (await deciding.outset(described, held)).decision

    async def _is_staged(self, planned: Sequence[Planned]) -> bool:
        """Whether all tables are staged from an earlier holder's snapshot; raises SnapshotLost if only some are."""
        run_id = self.settings.run_id
        row = await ledger.run_of(self.session, run_id)
        if row is None or row.snapshot_id is None:
            return False
        loads = await ledger.loads_of(self.session, [run_id])
        staged = [load.live for load in loads if load.status in {LoadStatus.STAGED, LoadStatus.PUBLISHED}]
        if not staged:
            return False
        if {table.live for table in planned} <= set(staged):
            return True
        raise SnapshotLost(
            f"run {run_id} has {len(staged)} of {len(planned)} tables staged from snapshot {row.snapshot_id}, whose"
            " holder is gone; another snapshot would show another instant; start a new run"
        )

    async def _until_staged(self, held: Snapshot) -> str:
        """Waits until no shard needs the snapshot any more; returns why: ``staged`` or ``published``."""
        run_id, most = self.settings.run_id, self.settings.snapshot_max_age
        while True:
            state = await self._progress()
            if state is None:
                raise RunEnded(f"run {run_id} is no longer in the ledger; somebody has deleted it; start a new run")
            if state.status == RunStatus.PUBLISHED or state.unstaged == 0:
                return "published" if state.status == RunStatus.PUBLISHED else "staged"
            if state.status != RunStatus.RUNNING:
                raise RunEnded(
                    f"run {run_id} is {state.status}: {state.error}; its snapshot was let go; start a new run"
                )
            if perf_counter() - self.began > most:
                raise SnapshotLost(
                    f"the snapshot of run {run_id} was held for {most:g} s, and {state.unstaged} tables are not"
                    " staged yet; raise ETL_SNAPSHOT_MAX_AGE or look for what keeps them, and start a new run"
                )
            await self._must_hold(held)
            await asyncio.sleep(limits.HOLDER_PAUSE_SECONDS)

    async def _progress(self) -> Progress | None:
        """Queries the ledger for the run's progress; opens a new session if the old one is lost."""

        async def ask() -> Progress | None:
            await self._reconnect()
            return await ledger.progress(self.session, self.settings.run_id)

        def say(attempt: int, error: BaseException) -> None:
            log.warning("snapshot.ledger_lost", attempt=attempt, error=self.settings.redact(error))

        return await retried(ask, self.session.close, say)

    async def _reconnect(self) -> None:
        if self.control.is_lost:
            await self.control.reopen()
            await guard.lock_snapshot(self.session, self.settings.run_id)

    async def _must_hold(self, held: Snapshot) -> None:
        """Raises SnapshotLost if the session that holds the snapshot does not answer."""
        assert held.holder is not None
        try:
            async with asyncio.timeout(limits.HOLDER_ANSWER_SECONDS):
                await held.holder.execute("SELECT")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SnapshotLost(
                f"the source ended the session that held the snapshot of run {self.settings.run_id}: {one_line(error)};"
                " on a replica, set hot_standby_feedback = on; start a new run"
            ) from error

    async def _release(self, held: Snapshot, reason: str) -> float:
        """Releases the snapshot, and logs for how long, and by how many transactions, it held back vacuum."""
        transactions = await self._held_back(held)
        await held.release()
        seconds = round(perf_counter() - self.began, 3)
        log.info("snapshot.released", reason=reason, seconds=seconds, horizon_transactions=transactions)
        return seconds

    async def _held_back(self, held: Snapshot) -> int | None:
        """By how many transactions the snapshot holds back vacuum in the source; None if the source does not answer.

        It needs another session: within the snapshot's transaction, age() counts only to the start of that transaction.
        """
        assert held.holder is not None
        try:
            async with (
                asyncio.timeout(limits.HORIZON_LOOK_SECONDS),
                source_session(self.settings.source, guard.application(self.settings.run_id)) as source,
            ):
                age: int | None = await source.fetchval(source_query("held_back"), held.holder.get_server_pid())
                return age
        except (*EXPECTED, TimeoutError):
            return None

    async def give_up(self, status: RunStatus, reason: str) -> None:
        """Closes the run in the ledger, so that shards report why they fail; opens a new session if the old is lost."""
        try:
            async with asyncio.timeout(limits.CLEARING_SECONDS[status]):
                if not await self.control.lives():
                    await self.control.reopen()
                await ledger.close_run(self.session, self.settings.run_id, status, self.settings.redact(reason))
        except (*EXPECTED, TimeoutError) as error:
            log.error("run.uncleared", error=self.settings.redact(f"{one_line(error)}; `etl abort` ends the run"))
