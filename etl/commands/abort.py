"""Gives up a run, whatever of it has been done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from etl.ledger import book, ledger
from etl.model.name import TargetName
from etl.model.status import RunStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard, staging

LONGEST = 2000
"""Characters of a reason that the ledger keeps; a service's account of a failure may be a page of JSON."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """What became of a run: its status in the ledger (None: not there), and the staging tables dropped."""

    run_id: str
    status: str | None
    dropped: tuple[str, ...] = ()


async def abort(settings: Settings, error: str = "aborted", *, marks_unknown: bool = False) -> Aborted:
    """Says in the ledger that a run has failed, and drops its staging tables.

    From then on none of its processes stages or publishes anything: shards drop what they have staged and end, the
    snapshot's holder lets go. A run that is published stays so. One that is not in the ledger is left alone, or is
    ``marked`` there, so that a container of it that starts late finds that it is too late.
    """
    run_id, reason = settings.run_id, settings.redact.cut(error, LONGEST)
    async with target_session(settings.target, guard.application(run_id)) as control:
        if not marks_unknown and not await book.exists(control):
            return Aborted(run_id, None)
        await book.ensure(control)
        if marks_unknown:
            await ledger.join_run(control, run_id, "defer")
        await ledger.close_run(control, run_id, RunStatus.FAILED, reason)
        run = await ledger.run_of(control, run_id)
        if run is None or run["status"] == RunStatus.PUBLISHED:
            return Aborted(run_id, run["status"] if run else None)
        loads = await ledger.loads_of(control, [run_id])
        under_way = [ledger.live_of(load) for load in loads if load["status"] in ledger.UNPUBLISHED]
        dropped = await _drop(control, under_way)
        await ledger.not_published(control, run_id, reason, under_way)
        return Aborted(run_id, run["status"], tuple(map(str, dropped)))


async def _drop(control: Target, tables: Iterable[TargetName]) -> list[TargetName]:
    """Drops the staging tables that nobody has locked; who loads one now finds the run ended, and drops it itself."""
    there = await staging.tables(control)
    own = [table for table in tables if table.staging in there]
    free = [table for table in own if await guard.try_lock(control, [table])]
    await staging.drop(control, free)
    return free
