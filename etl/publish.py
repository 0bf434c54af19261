"""The one transaction in which a run's staging tables become live, and the ledger says so.

Readers of the live tables must never queue behind a publish that itself waits for someone: it asks for its
locks with a short timeout, gives way, and asks again until a deadline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import psycopg
import structlog
from psycopg import sql

from etl import blockers, guard, horizon, inplace, ledger, live, staging, unheard, views
from etl.errors import (
    PublishBlocked,
    PublishFailed,
    PublishUnheard,
    ViewsChanged,
    one_line,
    sqlstate,
)
from etl.policy import Policy
from etl.postgres import Target
from etl.retry import persistently
from etl.selection import Relation
from etl.swap import LOCK_TIMEOUT, prepare
from etl.transaction import BEGIN, COMMIT, at_once, begun

LAST_TRY = 5.0
"""Seconds for another try after the sessions in the way were ended."""

# lock_not_available, query_canceled (the lock phase's statement_timeout), deadlock_detected, and
# dependent_objects_still_exist: a view made since we looked
_BLOCKED = {"55P03", "57014", "40P01", "2BP01"}

# internal_error: "could not open relation with OID", "cache lookup failed": what pg_get_viewdef() and its like say of
# something that was there when the query began
_READ_WHILE_DROPPED = "XX000"

_WRITE = sql.SQL("SELECT pg_catalog.pg_logical_emit_message(true, 'nightly-etl', '')")
"""Makes the commit flush: only that of a transaction that has written WAL does, an id alone is not enough."""

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """How a publish went: tables, attempts, wall seconds with the waiting, and for how long readers may have waited."""

    tables: int
    attempts: int
    seconds: float
    blocked_ms: float


async def publish(
    target: Target,
    run_id: str,
    tables: Sequence[Relation],
    policy: Policy,
    reconnect: Callable[[], Awaitable[Target]],
    *,
    closes_run: bool = True,
) -> Published:
    """Makes staged tables live, all of them or none.

    Takes an idle session on the target, and how to open another, to ask what became of the commit if this one is lost;
    ``closes_run`` says that the run is whole with these tables. Raises CannotCarry before anything is touched when
    something hangs on a live table that could not be put back, PublishBlocked when readers hold the tables until the
    deadline, PublishFailed for the rest.
    """
    began = perf_counter()
    ordered = sorted(tables, key=lambda table: (table.schema, table.name))
    publishing = _Publish(target, run_id, ordered, await _in_place(target, policy), policy.hashed, closes_run)
    try:
        await publishing.until(policy.deadline)
    except PublishBlocked:
        if not policy.ends_blockers:
            raise
        await horizon.end_holders(target, await publishing.unfrozen())
        await blockers.end(target, publishing.in_use)
        await publishing.until(LAST_TRY)
    except PublishUnheard as error:
        await unheard.settle(reconnect, run_id, ordered, publishing.swapped, error)
    finally:
        with suppress(psycopg.Error):  # a session that is gone has let them go
            await guard.unlock(target, publishing.locked)
    return Published(len(tables), publishing.attempts, perf_counter() - began, publishing.blocked_ms)


def say(done: Published) -> None:
    """Logs a publish."""
    log.info(
        "run.published",
        tables=done.tables,
        seconds=round(done.seconds, 3),
        attempts=done.attempts,
        blocked_ms=round(done.blocked_ms, 1),
    )


async def _in_place(target: Target, policy: Policy) -> list[Relation]:
    """Gives the tables to publish in place that are there already; the others are new, and moved in."""
    return sorted([table for table in policy.in_place if await live.columns(target, table)], key=str)


@dataclass(slots=True)
class _Publish:
    """A publish under way, over its attempts."""

    target: Target
    run_id: str
    tables: Sequence[Relation]
    in_place: Sequence[Relation]
    hashed: Collection[Relation]
    closes_run: bool
    staged: views.Staged | None = None
    locked: Sequence[Relation] = ()
    alone: Sequence[live.Object] = ()
    attempts: int = 0
    blocked_ms: float = 0.0

    @property
    def in_use(self) -> list[Relation]:
        """The tables and views whose readers are in the way."""
        found = self.staged.found if self.staged else ()
        return [*self.swapped, *(view.relation for view in (*found, *self.alone))]

    @property
    def swapped(self) -> list[Relation]:
        """The tables of which the staging table itself becomes the live one."""
        return [table for table in self.tables if table not in self.in_place]

    @property
    def is_lost(self) -> bool:
        """Whether the session that publishes is gone."""
        return self.target.closed or self.target.broken

    async def until(self, deadline: float) -> None:
        """Publishes, trying again for ``deadline`` seconds while others are in the way."""
        # also where no reader waits behind us: to read a view's definition asks for a lock on its tables
        patience = max(deadline, 1)
        await self.target.execute(f"SET lock_timeout = '{patience:g}s'; SET synchronous_commit = on".encode())
        if unfrozen := await self.unfrozen():
            await self._flush()  # VACUUM marks no page all-visible while a commit near its rows' is not durable yet
            await horizon.wait(self.target, unfrozen, deadline)
        staged = self.staged
        try:
            if staged is None:
                staged = self.staged = await self._retried(self._stage, _is_changing, deadline)
            await staging.drop_aside(self.target, self.swapped)  # as far as a killed run has left them
            await self._flush()
            async with self.target.transaction():
                await self._check_staging(self.in_place)
                await inplace.replace(self.target, self.in_place, self.hashed)
                self.alone = await inplace.refresh(self.target, self.in_place, _ready(staged))
                # each try is a savepoint, so that the rows in place are replaced once
                await self._retried(self._attempt, _is_blocked, deadline)
                began = perf_counter()
            self.blocked_ms += (perf_counter() - began) * 1000
            await self._drop_old()
        except psycopg.Error as error:
            reason = f"the publish failed, the live tables are as they were: {one_line(error)}"
            raise (PublishUnheard if self.is_lost else PublishFailed)(reason) from error
        except PublishBlocked:
            self.staged = staged  # views that were staged anew in the transaction went with it
            raise

    async def unfrozen(self) -> dict[Relation, int]:
        """Gives the tables to swap whose rows old snapshots may not see yet, and since which transaction."""
        newest = await ledger.newest_xids(self.target, self.run_id)
        return {table: newest[table] for table in self.swapped if table in newest}

    async def _stage(self) -> views.Staged:
        """Stages the dependent views, when no other publish has one of them in staging; raises ViewsChanged."""
        if self.locked:
            await guard.unlock(self.target, self.locked)
            self.locked = ()
        found = await live.objects(self.target, self.swapped)
        if wanted := [view.relation for view in live.views(found)]:
            if not await guard.try_lock(self.target, wanted):
                raise ViewsChanged("another publish changes the views that rest on the live tables")
            self.locked = wanted
            found = await live.objects(self.target, self.swapped)  # again: who had the lock may have replaced them
            if {view.relation for view in live.views(found)} - set(wanted):
                raise ViewsChanged("somebody makes views on the live tables all the time")
        return await views.stage(self.target, self.swapped, found)

    async def _check_staging(self, tables: Sequence[Relation]) -> None:
        """Raises PublishFailed where a staging table is not the one that this run has filled.

        A run that lost its control session lost its locks, and may have gone on to fill tables that are another's.
        """
        if not tables:
            return
        there = {(table.schema, table.name): table.oid for table in await staging.tables(self.target)}
        filled = await ledger.staging_oids(self.target, self.run_id)
        gone = [
            str(table)
            for table in tables
            if there.get((staging.schema_of(table.schema), table.name))
            != filled.get(Relation(table.schema, table.name))
        ]
        if gone:
            raise PublishFailed(f"{', '.join(gone)} is no longer staged; another run or `etl abort` has dropped it")

    async def _drop_old(self) -> None:
        """Drops yesterday's tables; what could not be dropped now, the next run clears."""
        try:
            await staging.drop_aside(self.target, self.swapped)
        except psycopg.Error as error:
            if self.is_lost:
                raise  # another session will
            log.warning("publish.uncleared", error=one_line(error))

    async def _flush(self) -> None:
        """Makes what is staged durable now: the publish's commit, for which readers wait, has the less to write."""
        async with begun(self.target):
            await at_once(self.target, [BEGIN, _WRITE, COMMIT])

    async def _retried(
        self, step: Callable[[], Awaitable[T]], again: Callable[[BaseException], bool], deadline: float
    ) -> T:
        """Does a step, until others are no longer in its way; raises PublishBlocked, which names them, if they stay.

        Who changes views all the time holds nothing when looked at, so ViewsChanged stays what it is.
        """
        try:
            return await persistently(step, again, deadline)
        except psycopg.Error as error:
            if not _is_blocked(error):
                raise
            who = "; ".join(await blockers.described(self.target, self.in_use) or ["sessions that are gone by now"])
            raise PublishBlocked(
                f"the live tables were in use for {deadline:g} s, so nothing was published; held by {who}"
            ) from error

    async def _attempt(self) -> None:
        """Tries once; views are staged anew only when they have changed, because that may take its time."""
        self.attempts += 1
        if self.staged is None:
            async with self.target.transaction():
                self.staged = await self._stage()
        began = perf_counter()
        try:
            async with self.target.transaction():
                await ledger.must_run(self.target, self.run_id)  # nobody can abort it from here on
                await self._check_staging(self.swapped)
                swap = await prepare(self.target, self.swapped, self.staged)
                await ledger.published(self.target, self.run_id, self.tables)
                if self.closes_run:
                    await ledger.close_run(self.target, self.run_id, "published")
                began = perf_counter()
                if self.alone:
                    await self.target.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'".encode())
                    await inplace.refresh_alone(self.target, self.alone, _ready(self.staged))
                await swap.execute(self.target)
        except ViewsChanged:
            self.staged = None
            raise
        except psycopg.Error as error:
            if _is_blocked(error):
                await self._say_blocked((perf_counter() - began) * 1000)
            raise
        self.blocked_ms = (perf_counter() - began) * 1000

    async def _say_blocked(self, blocked_ms: float) -> None:
        log.info(
            "publish.blocked",
            attempt=self.attempts,
            blocked_ms=round(blocked_ms, 1),
            blockers=await blockers.described(self.target, self.in_use),
        )


def _ready(staged: views.Staged) -> list[Relation]:
    return [view.relation for view in staged.ready]


def _is_changing(error: BaseException) -> bool:
    return isinstance(error, ViewsChanged) or sqlstate(error) == _READ_WHILE_DROPPED


def _is_blocked(error: BaseException) -> bool:
    return sqlstate(error) in _BLOCKED or _is_changing(error)
