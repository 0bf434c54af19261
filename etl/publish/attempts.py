"""The attempts of a publish: the phase that needs locks is tried again while other sessions block it.

Each attempt is a value: its number, the staged views, and the tables whose rows were replaced in place before. An
attempt composes the swap and executes it (``message.py``). If it does not get the locks in time, it fails, and readers
that waited behind it go on. The next attempt is a value made from the failed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import psycopg

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import LiveChanged, PublishBlocked, sqlstate
from etl.model.name import TargetName
from etl.model.status import RunStatus
from etl.publish import blockers, dependents, inplace, message, validation
from etl.publish.dependents import ViewLocks
from etl.publish.inplace import Unfilled
from etl.publish.work import Work
from etl.sessions.retry import persistent
from etl.target.views import Staged

# lock_not_available, query_canceled (the lock phase's statement_timeout), deadlock_detected
_BLOCKED = {"55P03", "57014", "40P01"}

# internal_error: pg_get_viewdef() and the like raise "could not open relation with OID" or "cache lookup failed" for an
# object that was dropped after the query began; a GRANT at the same time raises "tuple concurrently updated"
_READ_WHILE_DROPPED = "XX000"

log = get_logger()


def is_changing(error: BaseException) -> bool:
    """Whether an error means that other sessions have changed the live tables, or what is attached to them."""
    return isinstance(error, LiveChanged) or sqlstate(error) == _READ_WHILE_DROPPED


def is_blocked(error: BaseException) -> bool:
    """Whether an error means that other sessions block the publish, so that another attempt may help."""
    return sqlstate(error) in _BLOCKED or is_changing(error)


@dataclass(frozen=True, slots=True)
class Replaced:
    """The oids of the tables whose rows were replaced in place, and the materialized views that are not filled yet."""

    oids: Mapping[TargetName, int] = field(default_factory=dict)
    unfilled: Unfilled = field(default_factory=Unfilled)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; ``staged`` is None if the views have to be staged again, because other sessions changed them."""

    work: Work
    locks: ViewLocks
    staged: Staged | None
    replaced: Replaced
    number: int = 0

    async def ready(self) -> Attempt:
        """This attempt with its number, and with its views staged."""
        numbered = replace(self, number=next(self.work.numbers))
        if self.staged is not None:
            return numbered
        async with self.work.savepoint():
            staged = await dependents.stage(self.work, self.locks)
        await validation.prove(self.work.target, staged.keys, self.work.swapped)
        return replace(numbered, staged=staged)

    def after(self, error: BaseException) -> Attempt:
        """The next attempt, if this one failed with ``error``."""
        return replace(self, staged=None) if is_changing(error) else self

    async def make(self) -> float:
        """Publishes; returns for how many milliseconds readers may have waited. If it fails, logs the blockers."""
        assert self.staged is not None, "its views are not staged"
        target, run_id, swapped, unfilled = (
            self.work.target,
            self.work.run_id,
            self.work.swapped,
            self.replaced.unfilled,
        )
        began = None
        try:
            async with target.transaction():
                await ledger.must_run(target, run_id)  # locks the run's row: `etl abort` waits from here on
                await dependents.check(self.work, swapped)
                swap = await message.compose(target, swapped, self.staged)
                await validation.expect(target, run_id, self.staged.keys)
                await ledger.published(target, run_id, swapped, self.replaced.oids)
                await ledger.close_run(target, run_id, RunStatus.PUBLISHED)
                began = perf_counter()
                if unfilled.before or unfilled.after:
                    await target.execute(f"SET LOCAL lock_timeout = '{limits.PUBLISH_LOCK_TIMEOUT}'".encode())
                await inplace.fill(target, unfilled.before, self.staged)
                await swap.execute(target)
                await inplace.fill(target, unfilled.after)
        except (LiveChanged, psycopg.Error) as error:
            if is_blocked(error):
                await self._say_blocked((perf_counter() - began) * 1000 if began else 0.0)
            raise
        return (perf_counter() - began) * 1000

    @property
    def in_use(self) -> Sequence[TargetName]:
        """The tables and views on which a session's lock blocks this attempt."""
        dependent = self.staged.found if self.staged else ()
        unfilled = self.replaced.unfilled
        return [*self.work.swapped, *(view.full_name for view in (*dependent, *unfilled.before, *unfilled.after))]

    async def _say_blocked(self, blocked_ms: float) -> None:
        log.info(
            "publish.blocked",
            attempt=self.number,
            blocked_ms=round(blocked_ms, 1),
            blockers=await blockers.described(self.work.target, self.in_use),
        )


@dataclass(frozen=True, slots=True)
class Won:
    """The attempt that published, and for how many milliseconds readers may have waited for it."""

    attempt: Attempt
    blocked_ms: float


async def until_published(first: Attempt, deadline: float) -> Won:
    """Makes attempts until one publishes; raises PublishBlocked, naming the blockers, after ``deadline`` seconds.

    LiveChanged is raised as it is: a session that changes the live tables again and again has often no lock at the time
    of the query for blockers.
    """
    attempt = first
    try:
        async for turn in persistent(is_blocked, deadline):
            with turn:
                attempt = await attempt.ready()
                try:
                    return Won(attempt, await attempt.make())
                except (LiveChanged, psycopg.Error) as error:
                    attempt = attempt.after(error)
                    raise
    except psycopg.Error as error:
        if not is_blocked(error):
            raise
        raise await blocked(attempt.work, attempt.in_use, deadline) from error
    raise AssertionError  # the loop ends only by returning or raising


async def blocked(work: Work, in_use: Sequence[TargetName], deadline: float) -> PublishBlocked:
    """The error to raise at the deadline, if other sessions blocked the last attempt."""
    names = "; ".join(await blockers.described(work.target, in_use) or ["sessions that are gone by now"])
    text = f"the live tables were in use for {deadline:g} s, so nothing was published; held by {names}"
    return PublishBlocked(text, in_use)
