"""``etl publish``: publishes a run whose processes have only staged tables (ETL_PUBLISH=defer)."""

from __future__ import annotations

from functools import partial

from etl.commands import control
from etl.ledger import book, ledger
from etl.model.errors import PublishFailed, RunEnded
from etl.model.name import Planned
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.publish import validation
from etl.publish.policy import Policy
from etl.publish.publish import Published, publish, say
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.target import guard, staging


async def publish_run(settings: Settings, *, once: bool = False) -> Published:
    """Publishes all tables that a run has staged, and logs it.

    If the run is published already, validates its foreign keys that wait for it; then raises PublishFailed or, with
    ``once``, returns without publishing again. Raises PublishFailed, too, if nothing is staged, if a load of the run
    failed or is missing, and if its loads are not from one snapshot; TableLocked while a process of the run still
    loads; NotValidated if the run is published, but one of its foreign keys could not be validated.
    """
    async with control.opened(settings) as session:
        if await book.exists(session):
            await book.ensure(session)
        if tables := await _published(session, settings.run_id):
            problems = await validation.validate(session, settings.run_id, settings.redact)
            validation.refuse(settings.run_id, problems)
            if once:
                return Published(tables, 0, 0.0, 0.0)
        await guard.lock(session, settings.run_id, [table.live for table in await _staged(session, settings.run_id)])
        staged = await _staged(session, settings.run_id)  # again: a publish that had the locks may have ended just now
        live = [table.live for table in staged]
        await guard.refuse_too_many_locks(session, len(live))
        policy = Policy.of(settings, staged)
        try:
            done = await publish(session, settings.run_id, live, policy, partial(control.connect, settings))
        except RunEnded:  # `etl abort` does not drop tables that are locked, as these were
            await staging.drop(session, live)
            raise
    say(done)
    validation.refuse(settings.run_id, done.problems)
    return done


async def _published(target: Target, run_id: str) -> int:
    """The number of tables that a run has published; 0 if it is not published."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    return run.tables or 0 if run and run.status == RunStatus.PUBLISHED else 0


async def _staged(target: Target, run_id: str) -> list[Planned]:
    """The tables that a run has staged; raises PublishFailed if the run cannot be published."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    if run is None:
        raise PublishFailed(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")
    loads = await ledger.loads_of(target, [run_id])
    unstaged = "not staged, and perhaps never will be"
    for status, why in ((LoadStatus.FAILED, "failed"), (LoadStatus.LOADING, unstaged), (LoadStatus.PLANNED, unstaged)):
        if names := [load.table_name for load in loads if load.status == status]:
            raise PublishFailed(f"run {run_id} cannot be published: {', '.join(names)} {why}; start a new run")
    staged = [load for load in loads if load.status == LoadStatus.STAGED]
    if not staged or run.status != RunStatus.RUNNING:
        rest = f" ({run.error}) and cannot be published; start a new run" if staged else ""
        raise PublishFailed(f"run {run_id} is {run.status}{rest or ' and has nothing staged to publish'}")
    if other := [load.table_name for load in staged if load.snapshot_id != run.snapshot_id]:
        raise PublishFailed(
            f"run {run_id} cannot be published: {', '.join(other)} not staged from its snapshot {run.snapshot_id};"
            " start a new run"
        )
    return [Planned(named(load.table_name), load.live) for load in staged]
