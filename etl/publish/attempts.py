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
from etl.model.base import Base, Live
from etl.model.errors import LiveChanged, PublishBlocked, one_line, sqlstate
from etl.model.name import TargetName
from etl.model.status import RunStatus
from etl.publish import blockers, dependents, filling, lock_phase, message, upkeep, validation
from etl.publish.dependents import ViewLocks
from etl.publish.filling import Unfilled
from etl.publish.replacement import Merged
from etl.publish.upkeep import Upkeep
from etl.publish.work import Work
from etl.sessions.postgres import Target
from etl.sessions.retry import persistent
from etl.target import live, untouched
from etl.target.views import Staged

_STATEMENT_TIMEOUT = "57014"
"""query_canceled: that of the lock phase."""

# lock_not_available, query_canceled, deadlock_detected
_BLOCKED = {"55P03", _STATEMENT_TIMEOUT, "40P01"}

# internal_error: pg_get_viewdef() and the like raise "could not open relation with OID" or "cache lookup failed" for an
# object that was dropped after the query began; a GRANT at the same time raises "tuple concurrently updated"
_READ_WHILE_DROPPED = "XX000"

log = get_logger()


def is_changing(error: BaseException) -> bool:
    """Whether an error means that other sessions have changed the live tables, or what is attached to them."""
    return isinstance(error, LiveChanged) or sqlstate(error) == _READ_WHILE_DROPPED


def is_blocked(error: BaseException) -> bool:
    """Whether an error means that other sessions block the publish, so that another attempt may help."""
    return isinstance(error, PublishBlocked) or sqlstate(error) in _BLOCKED or is_changing(error)


@dataclass(frozen=True, slots=True)
class Replaced:
    """The tables that were published in place, with their oids, and the materialized views that are not filled yet.

    ``merged`` are those of which rows have changed; ``lives`` the states of those that may be a base. ``views`` are the
    materialized views, refreshed or left alone; ``refreshed`` are the former.
    """

    oids: Mapping[TargetName, int] = field(default_factory=dict)
    merged: Merged = field(default_factory=Merged)
    unfilled: Unfilled = field(default_factory=Unfilled)
    lives: Mapping[TargetName, Live] = field(default_factory=dict)
    views: Upkeep = field(default_factory=dict)
    refreshed: tuple[live.Object, ...] = ()


@dataclass(slots=True)
class Clock:
    """For how many milliseconds an attempt may have kept readers waiting."""

    _began: float | None = None
    blocked_ms: float = 0.0

    def start(self) -> None:
        """The attempt requests locks for which readers wait."""
        self._began = perf_counter()

    def stop(self) -> None:
        """The attempt has ended, and has released its locks."""
        self.blocked_ms = (perf_counter() - self._began) * 1000 if self._began else 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; ``staged`` is None if the views have to be staged again, because other sessions changed them.

    ``is_proven`` says that the foreign keys hold for the new rows. ``seen`` are the last blockers that this attempt or
    an earlier one has found, described.
    """

    work: Work
    locks: ViewLocks
    staged: Staged | None
    replaced: Replaced
    number: int = 0
    is_proven: bool = False
    seen: tuple[str, ...] = ()

    def numbered(self) -> Attempt:
        """This attempt with its number."""
        return replace(self, number=next(self.work.numbers))

    async def ready(self) -> Attempt:
        """This attempt with its views staged, and its foreign keys proven."""
        if self.staged is not None and self.is_proven:
            return self
        async with self.work.savepoint():
            staged = self.staged or await dependents.stage(self.work, self.locks)
            await validation.prove(self.work.target, staged.keys, self.work.swapped, self.replaced.merged.remaining)
        return replace(self, staged=staged, is_proven=True)

    async def after(self, error: BaseException, blocked_ms: float) -> Attempt:
        """The next attempt, if this one failed with ``error``; logs the blockers."""
        if not is_blocked(error):
            return self
        names = await blockers.described(self.work.target, self.in_use)
        log.info("publish.blocked", attempt=self.number, blocked_ms=round(blocked_ms, 1), blockers=list(names))
        again = replace(self, staged=None, is_proven=False) if is_changing(error) else self
        return replace(again, seen=names or self.seen)

    async def make(self, clock: Clock) -> None:
        """Publishes; if that fails because of an attachment, tries again in a way that tells which one it is."""
        try:
            await self._make(clock)
        except psycopg.Error as error:
            if self.work.is_lost or not message.may_tell(error):
                raise
            await self._make(clock, tells=True)

    async def _make(self, clock: Clock, *, tells: bool = False) -> None:
        assert self.staged is not None, "its views are not staged"
        target, run_id, swapped, unfilled = (
            self.work.target,
            self.work.run_id,
            self.work.swapped,
            self.replaced.unfilled,
        )
        try:
            async with target.transaction():
                await ledger.must_run(target, run_id)  # locks the run's row: `etl abort` waits from here on
                await dependents.check(self.work, swapped)
                late = self.replaced.merged.late
                held = self._merged, self._refreshed
                as_of = self.work.as_of
                swap = await message.compose(target, swapped, self.staged, *held, late=late, as_of=as_of, tells=tells)
                await self._refuse_temporary(self.staged)
                await validation.expect(target, run_id, self.staged.keys)
                based = await _swapped_in(target, run_id, swapped)
                views = {**self.replaced.views, **await upkeep.made(target, self.staged, based)}
                lives, merged = {**based, **self.replaced.lives}, self.replaced.merged.seconds
                await ledger.published(target, run_id, swapped, self.replaced.oids, lives=lives, merged=merged)
                await ledger.close_run(target, run_id, RunStatus.PUBLISHED)
                clock.start()
                if unfilled.before or unfilled.after:
                    await target.execute(f"SET LOCAL lock_timeout = {limits.PUBLISH_LOCK_MS}".encode())
                await filling.fill(target, unfilled.before, self.staged)
                await swap.execute(target)
                # their queries may read tables that were swapped just now
                is_frozen = bool(swapped) and not self.work.policy.is_merged
                await filling.fill(target, unfilled.after, is_frozen=is_frozen)
                await upkeep.record(target, run_id, views, unfilled)
        finally:
            clock.stop()

    @property
    def _merged(self) -> Sequence[TargetName]:
        """The merged tables whose readers the publish waits for."""
        return self.replaced.merged.changed if self.work.policy.waits_for_readers else ()

    @property
    def _refreshed(self) -> Sequence[live.Object]:
        """The refreshed materialized views whose readers the publish waits for."""
        return self.replaced.refreshed if self.work.policy.waits_for_readers else ()

    async def _refuse_temporary(self, staged: Staged) -> None:
        """Raises PublishBlocked while temporary objects of other sessions depend on the tables or views to replace.

        They go with their sessions, so they are waited for, like readers. The inventory tells whether one is added.
        """
        oids = [one.oid for one in (*staged.live, *staged.found)]
        if found := await blockers.temporary(self.work.target, oids):
            raise PublishBlocked("; ".join(map(str, found)), self.in_use)

    @property
    def in_use(self) -> Sequence[TargetName]:
        """The tables and views on which a session's lock blocks this attempt."""
        dependent = self.staged.found if self.staged else ()
        unfilled = self.replaced.unfilled
        return [
            *self.work.swapped,
            *self._merged,
            *(view.full_name for view in (*self._refreshed, *dependent, *unfilled.before, *unfilled.after)),
        ]


async def _swapped_in(target: Target, run_id: str, swapped: Sequence[TargetName]) -> dict[TargetName, Live]:
    """The states of the staged tables that will be live; the next night may copy only their changes."""
    bases = await ledger.with_base(target, run_id)
    based = [table for table in bases if table in set(swapped)]
    states = await untouched.states(target, [table.staging for table in based]) if based else {}
    return {
        table: replace(states[table.staging], xids=base.xids)
        for table in based
        if (base := Base.of(bases[table])) and table.staging in states
    }


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
                attempt, clock = attempt.numbered(), Clock()
                try:
                    attempt = await attempt.ready()
                    await attempt.make(clock)
                    return Won(attempt, clock.blocked_ms)
                except (PublishBlocked, LiveChanged, psycopg.Error) as error:
                    attempt = await attempt.after(error, clock.blocked_ms)
                    raise
    except (PublishBlocked, psycopg.Error) as error:
        if not is_blocked(error):
            raise
        raise await blocked(attempt.work, attempt.in_use, deadline, error, attempt.seen) from error
    raise AssertionError  # the loop ends only by returning or raising


async def blocked(
    work: Work,
    in_use: Sequence[TargetName],
    deadline: float,
    error: Exception,
    seen: Sequence[str] = (),
    *,
    readers: bool = True,
) -> PublishBlocked:
    """The error to raise at the deadline, if other sessions blocked the last attempt.

    Without blockers, it says which statement took too long, or which lock was not free. ``readers`` is false for tables
    that are published in place.
    """
    names = await blockers.described(work.target, in_use, readers=readers)
    if names or seen:
        who = f"held by {'; '.join(names)}" if names else f"last held by {'; '.join(seen)}"
    elif sqlstate(error) == _STATEMENT_TIMEOUT:
        who = (
            f"no session held them, but it took longer than {lock_phase.phase_ms(len(in_use)) / 1000:g} s to lock"
            f" {len(in_use)} tables and views, one after the other; the server is too busy"
        )
    else:
        who = f"the server said: {one_line(error)}"
    text = f"the live tables were in use for {deadline:g} s, so nothing was published; {who}"
    return PublishBlocked(text, in_use, readers=readers)
