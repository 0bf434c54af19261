"""The publish of a deferred run, by ``etl publish`` or the Lambda: what its containers have staged becomes live."""

from __future__ import annotations

from functools import partial

from etl.commands import control
from etl.ledger import book, ledger
from etl.model.errors import PublishFailed, RunEnded
from etl.model.name import Planned
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.publish.policy import Policy
from etl.publish.publish import Published, publish, say
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.target import guard, staging


async def publish_run(settings: Settings, *, once: bool = False) -> Published:
    """Publishes all that a run has staged (``etl publish``), and logs it.

    A run that is published already is an error, unless it is to be published ``once``, however often that is asked
    for. Raises PublishFailed when there is nothing to publish, when a load of the run failed or a planned one is
    missing, and when its loads are not of one snapshot; TableLocked while it still loads.
    """
    async with control.opened(settings) as session:
        if await book.exists(session):
            await book.ensure(session)
        if once and (tables := await _published(session, settings.run_id)):
            return Published(tables, 0, 0.0, 0.0)
        await guard.lock(session, settings.run_id, [one.live for one in await _staged(session, settings.run_id)])
        staged = await _staged(session, settings.run_id)  # again: who had the locks may just have published it
        live = [one.live for one in staged]
        await guard.refuse_too_many_locks(session, len(live))
        policy = Policy.of(settings, staged)
        try:
            done = await publish(session, settings.run_id, live, policy, partial(control.connect, settings))
        except RunEnded:  # whoever aborted it could not drop what we had locked
            await staging.drop(session, live)
            raise
    say(done)
    return done


async def _published(target: Target, run_id: str) -> int:
    """Gives how many tables a run has published; 0 where it is not published."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    return int(run["tables"]) if run and run["status"] == RunStatus.PUBLISHED else 0


async def _staged(target: Target, run_id: str) -> list[Planned]:
    """The tables that a run has staged."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    if run is None:
        raise PublishFailed(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")
    loads = await ledger.loads_of(target, [run_id])
    unstaged = "not staged, and perhaps never will be"
    for status, why in ((LoadStatus.FAILED, "failed"), (LoadStatus.LOADING, unstaged), (LoadStatus.PLANNED, unstaged)):
        if names := [load["table_name"] for load in loads if load["status"] == status]:
            raise PublishFailed(f"run {run_id} cannot be published: {', '.join(names)} {why}; start a new run")
    staged = [load for load in loads if load["status"] == LoadStatus.STAGED]
    if not staged or run["status"] != RunStatus.RUNNING:
        rest = f" ({run['error']}) and cannot be published; start a new run" if staged else ""
        raise PublishFailed(f"run {run_id} is {run['status']}{rest or ' and has nothing staged to publish'}")
    if other := [load["table_name"] for load in staged if load["snapshot_id"] != run["snapshot_id"]]:
        raise PublishFailed(
            f"run {run_id} cannot be published: {', '.join(other)} not staged from its snapshot {run['snapshot_id']};"
            " start a new run"
        )
    return [Planned(named(load["table_name"]), ledger.live_of(load)) for load in staged]
