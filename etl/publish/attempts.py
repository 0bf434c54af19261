"""A publish under way: what it does once, and what it tries again while others are in its way.

Staging the views, freezing rows and replacing those in place come first and may take long. An attempt then composes the
swap, takes the locks and does it, or gives way (``swap.py``).
"""

# docs/decisions.md, "The catalog is read again under the locks"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import psycopg
import structlog
from psycopg import sql

from etl.ledger import ledger
from etl.model.errors import CannotCarry, LiveChanged, PublishBlocked, PublishFailed, PublishInDoubt, one_line, sqlstate
from etl.model.name import TargetName
from etl.model.status import RunStatus
from etl.publish import blockers, horizon, inplace
from etl.publish.inplace import Unfilled
from etl.publish.policy import Policy
from etl.publish.swap import CHANGES, LOCK_TIMEOUT, prepare, refuse_obstacles
from etl.sessions.postgres import Target
from etl.sessions.retry import persistently
from etl.sessions.transaction import BEGIN, COMMIT, at_once, begun
from etl.target import additions, guard, live, staging, views

# lock_not_available, query_canceled (the lock phase's statement_timeout), deadlock_detected
_BLOCKED = {"55P03", "57014", "40P01"}

# internal_error: "could not open relation with OID", "cache lookup failed": what pg_get_viewdef() and its like say of
# something that was there when the query began; and "tuple concurrently updated", of a GRANT beside us
_READ_WHILE_DROPPED = "XX000"

_WRITE = sql.SQL("SELECT pg_catalog.pg_logical_emit_message(true, 'nightly-etl', '')")
"""Makes the commit flush: only that of a transaction that has written WAL does, an id alone is not enough."""

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(slots=True)
class Attempts:
    """A publish under way, over its attempts."""

    target: Target
    run_id: str
    tables: Sequence[TargetName]
    policy: Policy
    in_place: Sequence[TargetName]
    staged: views.Staged | None = None
    locked: Sequence[TargetName] = ()
    replaced: Mapping[TargetName, int] = field(default_factory=dict)
    unfilled: Unfilled = field(default_factory=Unfilled)
    made: int = 0
    blocked_ms: float = 0.0

    @property
    def in_use(self) -> list[TargetName]:
        """The tables and views whose readers are in the way."""
        found = self.staged.found if self.staged else ()
        return [*self.swapped, *(view.full_name for view in (*found, *self.unfilled.before, *self.unfilled.after))]

    @property
    def swapped(self) -> list[TargetName]:
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
            await self._clear_aside()
            await self._flush()
            # rows are replaced in place once, however often the swap of other tables gives way
            async with self._savepoint():
                await self._replace_in_place(staged)
                await self._retried(self._attempt, _is_blocked, deadline)
                began = perf_counter()
            self.blocked_ms += (perf_counter() - began) * 1000
            await self._drop_old()
        except psycopg.Error as error:
            reason = f"the publish failed, the live tables are as they were: {one_line(error)}"
            raise (PublishInDoubt if self.is_lost else PublishFailed)(reason) from error
        except PublishBlocked:
            self.staged = staged  # views that were staged anew in the transaction went with it
            raise

    def _savepoint(self) -> AbstractAsyncContextManager[object]:
        """Gives a transaction where rows are replaced in place: within it each try is a savepoint."""
        return self.target.transaction() if self.in_place else nullcontext()

    async def _clear_aside(self) -> None:
        """Drops what a killed run has put aside; raises CannotCarry where somebody has made something depend on it."""
        if kept := await staging.drop_aside(self.target, self.swapped):
            raise CannotCarry(f"an old table that an earlier publish has put aside is in the way: {'; '.join(kept)}")

    async def _replace_in_place(self, staged: views.Staged) -> None:
        if not self.in_place:
            return
        await self._check_staging(self.in_place)
        await inplace.replace(self.target, self.in_place, self.policy.hashed)
        found = await live.objects(self.target, self.in_place)
        self.replaced = {one.full_name: one.oid for one in found if one.is_live}
        self.unfilled = await inplace.refresh(self.target, live.views(found), staged)

    async def unfrozen(self) -> dict[TargetName, int]:
        """Gives the tables to swap whose rows old snapshots may not see yet, and since which transaction."""
        newest = await ledger.newest_xids(self.target, self.run_id)
        return {table: newest[table] for table in self.swapped if table in newest}

    async def _stage(self) -> views.Staged:
        """Stages the dependent views, when no other publish has one of them in staging; raises LiveChanged."""
        if self.locked:
            await guard.unlock(self.target, self.locked)
            self.locked = ()
        await guard.refuse_untrusted_tables(self.target, self.tables)
        found = await live.objects(self.target, self.swapped)
        if wanted := [view.full_name for view in live.views(found)]:
            if not await guard.try_lock(self.target, wanted):
                raise LiveChanged("another publish changes the views that rest on the live tables")
            self.locked = wanted
            found = await live.objects(self.target, self.swapped)  # again: who had the lock may have replaced them
        # before all that it is to vouch for: what is read from here on is of this version, or of a later one
        inventory = await live.inventory(self.target, found, self.swapped)
        again = await live.objects(self.target, self.swapped)
        if {one.oid for one in again} != {one.oid for one in found}:
            raise LiveChanged(CHANGES)
        refuse_obstacles(again)
        in_staging = await live.objects(self.target, [table.staging for table in self.swapped])
        without_indexes = {table: table in self.policy.without_target_indexes for table in self.swapped}
        await additions.follow(self.target, self.run_id, without_indexes, again, in_staging)
        return await views.stage(self.target, again, in_staging, inventory)

    async def _check_staging(self, tables: Sequence[TargetName]) -> None:
        """Raises PublishFailed where a staging table is not the one that this run has filled.

        A run that lost its control session lost its locks, and may have gone on to fill tables that are another's.
        """
        if not tables:
            return
        there, filled = await staging.tables(self.target), await ledger.staging_oids(self.target, self.run_id)
        gone = [str(table) for table in tables if there.get(table.staging) != filled.get(table)]
        if gone:
            raise PublishFailed(f"{', '.join(gone)} is no longer staged; another run or `etl abort` has dropped it")

    async def _drop_old(self) -> None:
        """Drops yesterday's tables; what could not be dropped now, the next run clears."""
        try:
            if self.staged and self.staged.found:
                await staging.drop_views(self.target, [table.aside for table in self.swapped])
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

        Who changes things all the time holds nothing when looked at, so LiveChanged stays what it is.
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
        """Tries once; views are staged anew only when something has changed, because that may take its time."""
        self.made += 1
        if self.staged is None:
            async with self._savepoint():
                self.staged = await self._stage()
        began = None
        try:
            async with self.target.transaction():
                await ledger.must_run(self.target, self.run_id)  # nobody can abort it from here on
                await self._check_staging(self.swapped)
                swap = await prepare(self.target, self.swapped, self.staged)
                await ledger.published(self.target, self.run_id, self.swapped, self.replaced)
                await ledger.close_run(self.target, self.run_id, RunStatus.PUBLISHED)
                began = perf_counter()
                if self.unfilled.before or self.unfilled.after:
                    await self.target.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'".encode())
                await inplace.fill(self.target, self.unfilled.before, self.staged)
                await swap.execute(self.target)
                await inplace.fill(self.target, self.unfilled.after)
        except (LiveChanged, psycopg.Error) as error:
            if _is_changing(error):
                self.staged = None
            if _is_blocked(error):
                await self._say_blocked((perf_counter() - began) * 1000 if began else 0.0)
            raise
        self.blocked_ms = (perf_counter() - began) * 1000

    async def _say_blocked(self, blocked_ms: float) -> None:
        log.info(
            "publish.blocked",
            attempt=self.made,
            blocked_ms=round(blocked_ms, 1),
            blockers=await blockers.described(self.target, self.in_use),
        )


def _is_changing(error: BaseException) -> bool:
    return isinstance(error, LiveChanged) or sqlstate(error) == _READ_WHILE_DROPPED


def _is_blocked(error: BaseException) -> bool:
    return sqlstate(error) in _BLOCKED or _is_changing(error)
