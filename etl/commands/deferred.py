"""``etl publish``: publishes a run whose processes have only staged tables (ETL_PUBLISH=defer)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from etl.commands import control
from etl.commands.shard import refuse_other_way
from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow, RunRow
from etl.model import limits
from etl.model.errors import PublishFailed, RunEnded, RunStopped, refuse_unknown
from etl.model.name import Planned
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.model.way import RunWay
from etl.publish import validation
from etl.publish.policy import Policy
from etl.publish.publish import Published, publish
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.target import guard, staging


async def publish_run(settings: Settings, *, once: bool = False, anyway: str | None = None) -> Published:
    """Publishes all tables that a run has staged, and logs it.

    ``anyway`` is the reason to publish a run that the gate has stopped; the ledger records it.

    If the run is published already, validates its foreign keys that wait for it; then raises PublishFailed or, with
    ``once``, returns without publishing again. Raises PublishFailed, too, if nothing is staged, if a load of the run
    failed or is missing, and if its loads are not from one snapshot; RunStopped if the gate stops the run, or has
    stopped it and nobody has let it pass; TableLocked while a process of the run still loads; NotValidated if the run
    is published, but one of its foreign keys could not be validated.
    """
    async with control.opened(settings) as session:
        if await book.exists(session):
            await book.ensure(session)
        if tables := await _published(session, settings.run_id):
            problems = await validation.validate(session, settings.run_id, settings.redact)
            validation.refuse(settings.run_id, problems)
            if once:
                return Published(tables, 0, 0.0, 0.0)
        staged = await _staged(session, settings.run_id, anyway)
        await guard.lock(session, settings.run_id, [table.live for table in staged])
        # again: a publish that had the locks may have ended just now
        staged = await _staged(session, settings.run_id, anyway)
        if anyway is not None:
            await ledger.let_pass(session, settings.run_id, settings.redact.cut(anyway, limits.PASS_REASON_CHARACTERS))
        live = [table.live for table in staged]
        await guard.refuse_too_many_locks(session, len(live))
        policy = Policy.of(settings, staged, await _way(settings, session))
        try:
            done = await publish(session, settings.run_id, live, policy, partial(control.connect, settings))
        except RunEnded:  # `etl abort` does not drop tables that are locked, as these were
            await staging.drop(session, live)
            raise
    validation.refuse(settings.run_id, done.problems)
    return done


async def _way(settings: Settings, target: Target) -> RunWay | None:
    """The way for which the run's tables were loaded; raises ConfigurationError if the settings contradict it."""
    run = await ledger.run_of(target, settings.run_id)
    if run is None or run.publish_way is None:  # an older version has loaded them
        return None
    refuse_other_way(settings, run.publish_way)
    return RunWay(run.publish_way)


async def _published(target: Target, run_id: str) -> int:
    """The number of tables that a run has published; 0 if it is not published."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    return run.tables or 0 if run and run.status == RunStatus.PUBLISHED else 0


async def _staged(target: Target, run_id: str, anyway: str | None) -> list[Planned]:
    """The tables that a run has staged; raises PublishFailed if the run cannot be published."""
    run = await ledger.run_of(target, run_id) if await book.exists(target) else None
    if run is None:
        refuse_unknown(run_id)
    loads = await ledger.loads_of(target, [run_id])
    if run.status == RunStatus.STOPPED:
        return await _kept(target, run, loads, anyway)
    if anyway is not None:
        raise PublishFailed(f"run {run_id} is {run.status}, and --anyway is for a run that is stopped; leave it out")
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
    return _planned(staged)


def _planned(staged: Iterable[LoadRow]) -> list[Planned]:
    return [Planned(named(load.table_name), load.live) for load in staged]


async def _kept(target: Target, run: RunRow, loads: Sequence[LoadRow], anyway: str | None) -> list[Planned]:
    """The tables that a stopped run has staged; raises PublishFailed unless it may be let pass, and is."""
    if gone := [f"{load.table_name} ({load.error})" for load in loads if load.status != LoadStatus.STAGED]:
        raise PublishFailed(f"run {run.run_id} is stopped, and cannot be let pass any more: {'; '.join(gone)}")
    if anyway is None and run.passed_by is None:
        raise RunStopped(run.error or f"run {run.run_id} is stopped")
    there = set((await staging.tables(target)).values())
    if lost := [load.table_name for load in loads if not load.has_no_staging and load.staged_oid not in there]:
        raise PublishFailed(
            f"run {run.run_id} cannot be let pass: the staging tables of {', '.join(lost)} are gone; start a new run"
        )
    planned = _planned(loads)
    if newer := await ledger.newer(target, run.finished_at or run.started_at, planned):
        raise PublishFailed(
            f"run {run.run_id} cannot be let pass, for newer rows were published since: {', '.join(map(str, newer))};"
            " start a new run"
        )
    return planned
