"""``etl abort``: ends a run as failed, whatever its state, unless it is published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from etl.ledger import book, ledger
from etl.model import limits
from etl.model.name import TargetName
from etl.model.status import RunStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard, staging


@dataclass(frozen=True, slots=True)
class Aborted:
    """An aborted run: its status in the ledger (None if it is not in the ledger), and the staging tables dropped."""

    run_id: str
    status: str | None
    dropped: tuple[str, ...] = ()


async def abort(settings: Settings, error: str = "aborted", *, by_machine: bool = False) -> Aborted:
    """Records in the ledger that a run has failed, and drops its staging tables.

    After that, no process of the run stages or publishes a table: shards drop their staging tables and end, and the
    holder releases the snapshot. A published run stays published. A run that is not in the ledger stays unknown.

    A state machine calls ``by_machine``, after any failure. Then a run that is not in the ledger is recorded as failed,
    so that a container of the run that starts later ends at once; and the staging tables of a run that the gate has
    stopped stay, because a person may let it pass.
    """
    run_id, reason = settings.run_id, settings.redact.cut(error, limits.ABORT_REASON_CHARACTERS)
    async with target_session(settings.target, guard.application(run_id)) as control:
        if not by_machine and not await book.exists(control):
            return Aborted(run_id, None)
        await book.ensure(control)
        if by_machine:
            await ledger.join_run(control, run_id, "defer", settings.job)
        await ledger.close_run(control, run_id, RunStatus.FAILED, reason)
        run = await ledger.run_of(control, run_id)
        if run is None or run.status == RunStatus.PUBLISHED or (run.status == RunStatus.STOPPED and by_machine):
            return Aborted(run_id, run.status if run else None)
        loads = await ledger.loads_of(control, [run_id])
        under_way = [load.live for load in loads if load.status in ledger.UNPUBLISHED]
        dropped = await _drop(control, under_way)
        await ledger.not_published(control, run_id, reason, under_way)
        await ledger.forget_kept(control, run_id)
        return Aborted(run_id, run.status, tuple(map(str, dropped)))


async def _drop(control: Target, tables: Iterable[TargetName]) -> list[TargetName]:
    """Drops the staging tables that no process has locked.

    A process that loads a table finds the run ended when it has staged it, and drops the table itself.
    """
    existing = await staging.tables(control)
    staged = [table for table in tables if table.staging in existing]
    free = [table for table in staged if await guard.try_lock(control, [table])]
    kept = await staging.drop(control, free)
    return [table for table in free if table.staging not in kept]
