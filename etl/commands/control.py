"""The control session of a run or of a snapshot's holder, on the target, which lives as long as they do.

It holds the run's table locks, writes the ledger and does the publish; if it is lost, the locks are lost with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass

from etl.commands import saved_plan
from etl.ledger import book, ledger
from etl.model.errors import EXPECTED, ConfigurationError
from etl.model.name import Planned
from etl.model.status import RunStatus
from etl.sessions.postgres import Source, Target, close_source, connect_source, connect_target, target_session
from etl.settings.options import Options
from etl.settings.settings import Settings
from etl.source import catalog, choice
from etl.target import guard, staging

CLEARING_SECONDS: Mapping[RunStatus, float] = {RunStatus.INTERRUPTED: 4.0, RunStatus.FAILED: 60.0}
"""How long clearing up may take, by the ledger's status. Who sent SIGTERM sends SIGKILL after 10 to 30 s (Docker, ECS);
nobody waits for a run that failed, and its servers, short of time, may be what made it fail."""


def opened(settings: Settings) -> AbstractAsyncContextManager[Target]:
    """A control session for as long as the block lasts."""
    return target_session(settings.target, guard.application(settings.run_id), synchronous_commit="on")


async def connect(settings: Settings) -> Target:
    """Opens a control session; what it writes into the ledger outlives a crash of the target."""
    return await connect_target(settings.target, guard.application(settings.run_id), synchronous_commit="on")


async def sessions(settings: Settings) -> tuple[Target, Source]:
    """Opens a control session and one on the source, side by side; both, or none."""
    opening = connect(settings), connect_source(settings.source, guard.application(settings.run_id))
    control, source = await asyncio.gather(*opening, return_exceptions=True)
    if isinstance(control, BaseException):
        if not isinstance(source, BaseException):
            await close_source(source)
        raise control
    if isinstance(source, BaseException):
        await control.close()
        raise source
    return control, source


@dataclass(slots=True)
class Control:
    """The control session of a process, opened again where it was lost."""

    settings: Settings
    session: Target

    async def lives(self) -> bool:
        """Tells whether the session, and so its locks, are still there: it may be dead and not have heard of it."""
        with suppress(*EXPECTED):
            await self.session.execute(b"SELECT")
        return not self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether the session is known to be gone."""
        return self.session.closed or self.session.broken

    async def reopen(self) -> None:
        """Opens another session; the locks of the old one are gone with it."""
        self.session = await connect(self.settings)


async def claim(settings: Settings, control: Target, source: Source) -> tuple[Planned, ...]:
    """Finds the run's tables in the source, and makes sure that nobody else loads them.

    Raises ConfigurationError for unknown tables and for one database given twice, TableLocked otherwise.
    """
    await guard.refuse_same_database(source, control, settings.source, settings.target)
    _refuse_parts(settings)
    selection = await saved_plan.selection(settings, control, settings.shard)
    chosen = await choice.choose(source, settings.options, selection)
    # A column that is not there is told before anything is touched; a shard looks beside the holder's locks.
    if settings.options != Options() and settings.snapshot == "own":
        settings.options.apply(await catalog.tables(source, [one.source for one in chosen]))
    live = [one.live for one in chosen]
    await guard.refuse_too_many_locks(control, len(live))
    if settings.snapshot == "run":  # before it clears up: a shard of a run that has ended takes no table from another
        await _refuse_ended(settings, control)
    await guard.lock(control, settings.run_id, live)
    await book.ensure(control)
    await guard.refuse_untrusted_tables(control, live)
    await guard.clear(control, settings.run_id, live)
    await staging.create_schemas(control, {relation.schema for relation in live})
    return chosen


async def _refuse_ended(settings: Settings, control: Target) -> None:
    """Raises RunEnded where the ledger knows the run, and it has ended; the holder may not have written it yet."""
    if await book.exists(control) and await ledger.run_of(control, settings.run_id):
        await ledger.must_run(control, settings.run_id)


def _refuse_parts(settings: Settings) -> None:
    """Raises ConfigurationError where a shard of a plan would copy from an instant of its own."""
    if settings.plan == "run" and settings.shard is not None and settings.snapshot == "own":
        raise ConfigurationError(
            f"ETL_PLAN is 'run' and ETL_SHARD {settings.shard}, but ETL_SNAPSHOT is 'own'; set it to run: the shards of"
            " a run copy from the one snapshot that `etl snapshot` holds"
        )
