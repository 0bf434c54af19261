"""What a publish makes ready before its attempts: the dependent views on the staging tables, under their locks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import psycopg

from etl.ledger import ledger
from etl.model.errors import CannotCarry, LiveChanged, PublishFailed
from etl.model.name import TargetName
from etl.publish.message import CHANGES
from etl.publish.swap import Swap
from etl.publish.way import said
from etl.publish.work import Work
from etl.sessions.postgres import Target
from etl.target import additions, guard, live, staging, views
from etl.target.views import Staged


@dataclass(slots=True)
class ViewLocks:
    """The locks of views' places in staging, which one publish at a time may have."""

    target: Target
    _held: Sequence[TargetName] = ()

    async def __aenter__(self) -> ViewLocks:
        """Holds none at first."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Releases all."""
        with suppress(psycopg.Error):  # a session that is gone has released them
            await self.release()

    async def release(self) -> None:
        """Releases what is held."""
        await guard.unlock(self.target, self._held)
        self._held = ()

    async def take(self, wanted: Sequence[TargetName]) -> None:
        """Takes the locks of views; raises LiveChanged where another publish has one of them."""
        if not await guard.try_lock(self.target, wanted):
            raise LiveChanged("another publish changes the views that rest on the live tables")
        self._held = wanted


async def stage(work: Work, locks: ViewLocks) -> Staged:
    """Stages the dependent views; raises LiveChanged where others change them, CannotCarry for every obstacle."""
    target, swapped = work.target, work.swapped
    await locks.release()
    await guard.refuse_untrusted_tables(target, work.tables)
    found = await live.objects(target, swapped)
    if wanted := [view.full_name for view in live.views(found)]:
        await locks.take(wanted)
        found = await live.objects(target, swapped)  # again: the publish that had the locks may have replaced them
    # before all that it is to vouch for: what is read from here on is of this version, or of a later one
    inventory = await live.inventory(target, found, swapped)
    again = await live.objects(target, swapped)
    if {one.oid for one in again} != {one.oid for one in found}:
        raise LiveChanged(CHANGES)
    staged = await live.columns_of(target, [table.staging for table in swapped])
    arriving = {table: staged[table.staging] for table in swapped if table.staging in staged}
    if text := said(await Swap().obstacles(target, again, arriving)):
        raise CannotCarry(text)
    in_staging = await live.objects(target, [table.staging for table in swapped])
    without_indexes = {table: table in work.policy.without_target_indexes for table in swapped}
    await additions.follow(target, work.run_id, without_indexes, again, in_staging)
    return await views.stage(target, again, in_staging, inventory)


async def check(work: Work, tables: Sequence[TargetName]) -> None:
    """Raises PublishFailed where a staging table is not the one that this run has filled.

    A run that lost its control session lost its locks, and may have gone on to fill tables that are another's.
    """
    if not tables:
        return
    there, filled = await staging.tables(work.target), await ledger.staging_oids(work.target, work.run_id)
    if gone := [str(table) for table in tables if there.get(table.staging) != filled.get(table)]:
        raise PublishFailed(f"{', '.join(gone)} is no longer staged; another run or `etl abort` has dropped it")
