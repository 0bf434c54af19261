"""Stages the dependent views before a publish's attempts: makes them in staging, on the staging tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

import psycopg

from etl.ledger import ledger
from etl.model.errors import CannotCarry, LiveChanged, PublishFailed
from etl.model.name import TargetName
from etl.publish import validation
from etl.publish.lock_phase import CHANGES
from etl.publish.swap import Swap
from etl.publish.way import said
from etl.publish.work import Work
from etl.sessions.postgres import Target
from etl.target import additions, guard, live, placement, staging, views
from etl.target.views import Staged


@dataclass(slots=True)
class ViewLocks:
    """The advisory locks of the views' names in staging: only one publish at a time can hold the lock of a view."""

    target: Target
    _held: Sequence[TargetName] = ()

    async def __aenter__(self) -> ViewLocks:
        """Takes no lock yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Releases all locks."""
        with suppress(psycopg.Error):  # if the session has ended, the server has released its locks
            await self.release()

    async def release(self) -> None:
        """Releases all locks."""
        await guard.unlock(self.target, self._held)
        self._held = ()

    async def take(self, wanted: Sequence[TargetName]) -> None:
        """Takes the locks of views; raises LiveChanged if another publish has one of them."""
        if not await guard.try_lock(self.target, wanted):
            raise LiveChanged("another publish changes the views that rest on the live tables")
        self._held = wanted


async def stage(work: Work, locks: ViewLocks) -> Staged:
    """Stages the dependent views.

    Raises LiveChanged if other sessions change them meanwhile, CannotCarry naming every obstacle.
    """
    target, swapped = work.target, work.swapped
    await locks.release()
    await guard.refuse_untrusted_tables(target, work.tables)
    found = await live.objects(target, swapped)
    if wanted := [view.full_name for view in live.views(found)]:
        await locks.take(wanted)
        found = await live.objects(target, swapped)  # again: a publish that had these locks may have replaced the views
    # The inventory is read first, so each later query sees the objects as the inventory has them, or newer. If they are
    # newer, the swap finds another inventory under its locks, and fails.
    inventory = await live.inventory(target, found, swapped)
    again = await live.objects(target, swapped)
    if {item.oid for item in again} != {item.oid for item in found}:
        raise LiveChanged(CHANGES)
    staged = await live.columns_of(target, [table.staging for table in swapped])
    arriving = {table: staged[table.staging] for table in swapped if table.staging in staged}
    if text := said(await Swap().obstacles(target, again, arriving)):
        raise CannotCarry(text)
    in_staging = await live.objects(target, [table.staging for table in swapped])
    without_indexes = {table: table in work.policy.without_target_indexes for table in swapped}
    await additions.follow(target, work.run_id, without_indexes, again, in_staging)
    await placement.follow(target, again)
    keys = await validation.keys(target, [item for item in again if item.is_live], arriving)
    return replace(await views.stage(target, again, in_staging, inventory), keys=tuple(keys))


async def check(work: Work, tables: Sequence[TargetName]) -> None:
    """Raises PublishFailed if a staging table is not the one that this run has filled.

    A run that loses its control session loses its locks, so another run may have dropped the table and made its own.
    """
    if not tables:
        return
    existing, filled = await staging.tables(work.target), await ledger.staging_oids(work.target, work.run_id)
    if gone := [str(table) for table in tables if existing.get(table.staging) != filled.get(table)]:
        raise PublishFailed(f"{', '.join(gone)} is no longer staged; another run or `etl abort` has dropped it")
