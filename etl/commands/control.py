"""The control session: the target session that a run, or a snapshot's holder, keeps open until it ends.

It holds the run's table locks, writes the ledger and publishes. If the session is lost, so are its locks.
"""

# docs/decisions.md, "A run that fails early is recorded when it fails"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

from etl.commands import saved_plan
from etl.ledger import book, ledger
from etl.ledger.rows import RunRow
from etl.model import limits
from etl.model.errors import EXPECTED, ConfigurationError
from etl.model.name import Planned
from etl.model.redaction import Redacted
from etl.model.status import RunStatus
from etl.publish import obstacles
from etl.sessions import advisory
from etl.sessions.postgres import Source, Target, close_source, connect_source, connect_target, target_session
from etl.settings.settings import Settings
from etl.source import catalog, choice
from etl.target import guard, kept, staging


def opened(settings: Settings) -> AbstractAsyncContextManager[Target]:
    """A control session that is open until the block ends."""
    return target_session(settings.target, guard.application(settings.run_id), synchronous_commit="on")


async def connect(settings: Settings) -> Target:
    """Opens a control session; its commits wait for the WAL flush, so that the ledger survives a server crash."""
    return await connect_target(settings.target, guard.application(settings.run_id), synchronous_commit="on")


async def _sessions(settings: Settings) -> tuple[Target, Source]:
    """Opens a control session and a source session at the same time; if one fails, closes the other."""
    opening = connect(settings), connect_source(settings.source, guard.application(settings.run_id))
    control, source = await asyncio.gather(*opening, return_exceptions=True)
    if isinstance(control, BaseException):
        if not isinstance(source, BaseException):
            await close_source(source)
        raise control
    if isinstance(source, BaseException):
        try:
            async with _recorded(settings, control):
                raise source
        finally:
            await control.close()
    return control, source


@dataclass(slots=True)
class Control:
    """The control session of a process, which can be opened again if it is lost."""

    settings: Settings
    session: Target

    async def lives(self) -> bool:
        """Whether the session, and so its locks, still exist. It asks the server: a lost connection may look open."""
        with suppress(*EXPECTED):
            await self.session.execute(b"SELECT")
        return not self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether the connection is known to be closed or broken."""
        return self.session.closed or self.session.broken

    async def reopen(self) -> None:
        """Opens another session, which has none of the old one's locks."""
        self.session = await connect(self.settings)


@asynccontextmanager
async def beside_source(settings: Settings) -> AsyncIterator[tuple[Control, Source]]:
    """A control session and a source session, opened at the same time and closed when the block ends.

    If the source cannot be reached, the run is recorded as failed, as ``claim`` does.
    """
    session, source = await _sessions(settings)
    control = Control(settings, session)
    try:
        yield control, source
    finally:
        await close_source(source)
        await control.session.close()


async def claim(settings: Settings, control: Target, source: Source) -> tuple[Planned, ...]:
    """Finds the run's tables in the source, locks them for this run, and clears up after earlier ones.

    Raises ConfigurationError for unknown tables, and if source and target are the same database; TableLocked if another
    run has one of the tables; Obstructed if a table could not be loaded or published. The run is then recorded as
    failed, unless source and target are one database: its ledger is none of this run's.
    """
    await guard.refuse_same_database(source, control, settings.source, settings.target)
    async with _recorded(settings, control):
        return await _claim(settings, control, source)


async def _claim(settings: Settings, control: Target, source: Source) -> tuple[Planned, ...]:
    _refuse_parts(settings)
    selection = await saved_plan.selection(settings, control, settings.shard)
    chosen = await choice.choose(source, settings.options, selection)
    live = [table.live for table in chosen]
    await guard.refuse_too_many_locks(control, len(live))
    if settings.snapshot == "run":  # first, so that a shard of an ended run takes no tables from another run
        await _refuse_ended(settings, control)
    await guard.lock(control, settings.run_id, live)
    # An unknown column is an error before anything is changed. A shard checks this later, beside the holder's locks;
    # the holder asks for the obstacles. To describe a table that is locked in the source takes until it is free.
    is_whole = settings.snapshot == "own"
    described = await catalog.tables(source, [table.source for table in chosen]) if is_whole else []
    tables = settings.options.apply(described)
    # first, because the ledger cannot be made without them
    if is_whole:
        await obstacles.refuse_all(settings, source, control, tables)
    else:
        await obstacles.refuse_privileges(control, live)
    async with obstacles.explained(settings, source, control, tables):
        await book.ensure(control)
    await guard.refuse_untrusted_tables(control, live)
    if is_whole:
        await obstacles.stop(settings, source, control, tables)
    await kept.discard(control, settings.run_id, live)
    await guard.clear(control, settings.run_id, live)
    await staging.create_schemas(control, {relation.schema for relation in live})
    return chosen


@asynccontextmanager
async def _recorded(settings: Settings, control: Target) -> AsyncIterator[None]:
    """Records the run if the block fails, before the run has its row, as far as there is a ledger.

    A shard leaves its run open, and a run without a plan may still get one: both could not go on with a run that has
    ended. Nor is a run touched whose tables wait for ``etl publish``, or whose processes live,
    as those of a published run do while they validate its foreign keys: this one has its id by mistake.
    """
    try:
        yield
    except (asyncio.CancelledError, *EXPECTED) as error:
        stopped = isinstance(error, asyncio.CancelledError)
        status, why = (RunStatus.INTERRUPTED, "stopped by a signal") if stopped else (RunStatus.FAILED, error)
        if settings.snapshot == "own" and settings.plan == "own":
            with suppress(*EXPECTED, TimeoutError):
                async with asyncio.timeout(limits.UNBEGUN_SECONDS):
                    await _record(settings, control, status, settings.redact(why))
        raise


async def _record(settings: Settings, control: Target, status: RunStatus, reason: Redacted) -> None:
    run_id = settings.run_id
    if not await book.is_current(control):
        return
    if not await advisory.free(control, advisory.of_runs([run_id])):
        return
    earlier = await ledger.run_of(control, run_id)
    if earlier is not None and _waits(earlier):
        return
    await ledger.open_run(control, run_id, settings.publish, settings.job)
    await ledger.close_run(control, run_id, status, reason)


def _waits(run: RunRow) -> bool:
    """Whether tables of a run that no process works on may still be published."""
    return run.status == RunStatus.STOPPED or (run.status == RunStatus.RUNNING and run.publish == "defer")


async def _refuse_ended(settings: Settings, control: Target) -> None:
    """Raises RunEnded if the run has ended; passes if it is not in the ledger, where the holder may write it later."""
    if not await book.exists(control):
        return
    await book.ensure(control)  # an older version may have begun the run
    if await ledger.run_of(control, settings.run_id):
        await ledger.must_run(control, settings.run_id)


def _refuse_parts(settings: Settings) -> None:
    """Raises ConfigurationError if a shard of a plan would take its own snapshot."""
    if settings.plan == "run" and settings.shard is not None and settings.snapshot == "own":
        raise ConfigurationError(
            f"ETL_PLAN is 'run' and ETL_SHARD {settings.shard}, but ETL_SNAPSHOT is 'own'; set it to run: the shards of"
            " a run copy from the one snapshot that `etl snapshot` holds"
        )
