"""Gives up what a run has staged."""

from __future__ import annotations

from etl import guard, ledger, staging
from etl.errors import EtlError
from etl.postgres import connect_target
from etl.settings import Settings


async def abort(settings: Settings) -> list[str]:
    """Drops the staging tables of a run and closes it in the ledger; gives the tables' names.

    Live tables are not touched. Raises TableLocked while the run still loads, EtlError for a run that is
    not in the ledger, or that is published already.
    """
    control = await connect_target(settings.target, guard.application(settings.run_id))
    try:
        run = await ledger.run_of(control, settings.run_id) if await ledger.exists(control) else None
        if run is None:
            raise EtlError(f"run {settings.run_id} is not in the ledger; `etl history` lists the runs there are")
        if run["status"] == "published":
            raise EtlError(f"run {settings.run_id} is published already; there is nothing to give up")
        loads = await ledger.loads_of(control, [settings.run_id])
        staged = [ledger.live_of(load) for load in loads if load["status"] == "staged"]
        await guard.lock(control, settings.run_id, staged)
        await staging.drop(control, staged)
        await ledger.not_published(control, settings.run_id, "aborted", staged)
        if run["status"] == "running":
            await ledger.close_run(control, settings.run_id, "failed", "aborted")
        return [str(relation) for relation in staged]
    finally:
        await control.close()
