"""``etl run``: stages all tables of a run from one snapshot of the source, then publishes them in one transaction.

The control session (``control.py``) is open until the run ends. If it is lost, the run cannot publish any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from etl.commands import control
from etl.commands.control import Control
from etl.commands.shard import Shard
from etl.commands.share import Share
from etl.commands.whole import Whole
from etl.ledger import ledger
from etl.loads.loading import Loading
from etl.loads.progress import Progress, Tally
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import EXPECTED, NotValidated, RunFailed, RunStopped, SnapshotLost, one_line
from etl.model.name import Planned
from etl.model.record import Finished, Load
from etl.model.redaction import Redacted
from etl.model.status import LoadStatus, RunStatus
from etl.model.way import RunWay
from etl.model.wording import counted
from etl.publish import obstacles, validation
from etl.publish import publish as publishing
from etl.publish.policy import Policy
from etl.publish.publish import Published
from etl.sessions.postgres import Source, close_source
from etl.settings.settings import Settings
from etl.source import stream
from etl.target import guard, staging

log = get_logger()


async def run(settings: Settings, progress: Progress) -> Finished:
    """Does one run, or one shard of a run; returns its figures.

    If it fails, drops its staging tables, closes the run in the ledger, and raises EtlError. A shard leaves its run
    open, and keeps what it has staged.
    """
    stream.keep_buffers()
    async with AsyncExitStack() as sessions:
        with _not_begun(settings):
            held, source = await sessions.enter_async_context(control.beside_source(settings))
            planned = await control.claim(settings, held.session, source)
        share = await _share(held, planned, source)
        return await _Run(settings, held, planned, progress, share).whole()


async def _share(held: Control, planned: Sequence[Planned], source: Source) -> Share:
    if held.settings.snapshot == "own":
        return Whole(held, planned, source)
    await close_source(source)  # a shard reads the source only in the sessions of its loads
    return Shard(held, planned)


@contextmanager
def _not_begun(settings: Settings) -> Iterator[None]:
    """Logs the end of a run that fails before it is in the ledger."""
    began = perf_counter()
    try:
        yield
    except EXPECTED as error:
        reason = settings.redact(error)
        _say(Finished(settings.run_id, RunStatus.FAILED, (), perf_counter() - began), 0, reason)
        raise


def _say(finished: Finished, tables: int, error: Redacted | None) -> None:
    """Logs the end of a run, with the error if it failed."""
    log.info(
        "run.finished",
        status=finished.status,
        tables=tables,
        rows=finished.rows,
        bytes=finished.bytes,
        seconds=round(finished.seconds, 3),
        **dict[str, Any]({"error": error} if error else {}),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that goes on: its tables, this process's share of it, and the loads that have ended.

    ``published`` has its publish, as soon as that is committed.
    """

    settings: Settings
    control: Control
    planned: Sequence[Planned]
    progress: Progress
    share: Share
    loads: list[Load] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    began: float = field(default_factory=perf_counter)

    async def whole(self) -> Finished:
        """Stages and publishes. After any error, clears up staging and closes the run in the ledger."""
        settings = self.settings
        try:
            await self.share.begin()
            log.info("run.started", tables=len(self.planned), jobs=settings.jobs, publish=settings.publish)
            done = await self._publish(await self._stage())
        except RunStopped as error:  # the gate has written it into the ledger, and keeps the staging tables
            self._finished(RunStatus.STOPPED, settings.redact(error))
            raise
        except asyncio.CancelledError:
            await self._give_up(RunStatus.INTERRUPTED, "stopped by a signal")
            raise
        except BaseException as error:
            await self._give_up(RunStatus.FAILED, error)
            raise
        return self._ended(done)

    def _ended(self, done: Published | None) -> Finished:
        """The figures of a run that is published, or only staged; raises NotValidated if a foreign key is not valid."""
        try:
            validation.refuse(self.settings.run_id, done.problems if done else ())
        except NotValidated as error:
            self._finished(RunStatus.PUBLISHED, self.settings.redact(error))
            raise
        return self._finished(RunStatus.PUBLISHED if done else LoadStatus.STAGED)

    async def _stage(self) -> RunWay:
        """Stages all tables, from another snapshot if the first is lost; returns how they become live.

        Raises RunFailed when a load failed.
        """
        attempt = 1
        while (way := await self._staged(attempt)) is None:
            attempt += 1
        if failed := [load.table_name for load in self.loads if load.status == LoadStatus.FAILED]:
            names = ", ".join(failed)
            number = f"{len(failed)} of {counted(len(self.loads), 'table')}"
            raise RunFailed(f"{number} failed ({names}); nothing was published; table.failed says why, of each")
        return way

    async def _staged(self, attempt: int) -> RunWay | None:
        """Loads all tables from one snapshot; returns how they become live, None if the snapshot was lost too early."""
        self.loads.clear()
        held = await self.share.snapshot()
        settings = self.settings.by(held.way) if held.way else self.settings
        shared = settings, self.control.session, held.snapshot, held.left, Tally(self.progress), self.loads
        try:
            return await Loading(*shared, obstacles.of_merges, held.others).all()
        except SnapshotLost as error:
            await self.share.lost(held.snapshot, error, attempt)
            return None
        finally:
            await held.snapshot.release()

    async def _publish(self, way: RunWay) -> Published | None:
        """Publishes the staged tables; does nothing if ETL_PUBLISH is defer."""
        settings = self.settings
        if settings.publish == "defer":
            return None
        tables, policy = [table.live for table in self.planned], Policy.of(settings, self.planned, way)
        reconnect = partial(control.connect, settings)
        session, committed = self.control.session, self.published.append
        return await publishing.publish(session, settings.run_id, tables, policy, reconnect, committed=committed)

    async def _give_up(self, status: RunStatus, why: str | BaseException) -> None:
        """Drops the staging tables and closes the run in the ledger; opens a new session if the old one is lost."""
        reason = self.settings.redact(why)
        self._finished(RunStatus.PUBLISHED if self.published else status, reason)
        try:
            async with asyncio.timeout(limits.CLEARING_SECONDS[status]):
                await (self._clear_published() if self.published else self._clear(status, reason))
        except (*EXPECTED, TimeoutError) as error:
            message = self.settings.redact(f"{one_line(error)}; the next run will clear what this one left")
            log.error("run.uncleared", error=message)

    async def _clear_published(self) -> None:
        """Drops the old tables; the next run validates the foreign keys, and drops what this session cannot."""
        if await self.control.lives():
            await staging.drop_aside(self.control.session, [table.live for table in self.planned])

    async def _clear(self, status: RunStatus, reason: Redacted) -> None:
        if await self.control.lives():
            useless = await self.share.useless()
            await staging.drop(self.control.session, useless)
            # old tables are left if the connection was lost after the publish and before they were dropped
            await staging.drop_aside(self.control.session, useless)
        else:
            # The locks were lost with the session, so another run may have taken the tables by now.
            await self.control.reopen()
            await guard.clear(self.control.session, self.settings.run_id, [])
            useless = await self.share.useless()
        async with self.control.session.transaction():  # the run first: its end is the loads' reason
            await self.share.close(status, reason)
            await ledger.not_published(self.control.session, self.settings.run_id, reason, useless)

    def _finished(self, status: RunStatus | LoadStatus, error: Redacted | None = None) -> Finished:
        finished = Finished(self.settings.run_id, status, tuple(self.loads), perf_counter() - self.began)
        _say(finished, len(self.planned), error)
        return finished
