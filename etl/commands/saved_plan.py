"""Saves a run's plan, the tables of each shard, in the ledger, from which the containers of the run read it.

So no list of tables passes through the state machine, or through the overrides of a container, which AWS Batch and ECS
limit to 8,192 characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow
from etl.model.errors import ConfigurationError
from etl.model.selection import Selection, named, tables_text
from etl.model.status import LoadStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard


async def save(settings: Settings, shards: Mapping[int, Sequence[str]]) -> None:
    """Writes the plan of the run into the ledger, and replaces an earlier plan.

    Takes the tables' labels by the shard's number. Raises RunEnded if the run has ended, ConfigurationError if one of
    its processes has begun.
    """
    run_id = settings.run_id
    async with target_session(settings.target, guard.application(run_id), synchronous_commit="on") as target:
        await book.ensure(target)
        async with target.transaction():
            await ledger.join_run(target, run_id, "defer", settings.job)
            await ledger.must_run(target, run_id)
            await ledger.forget_plan(target, run_id)
            if await ledger.loads_of(target, [run_id]):
                raise ConfigurationError(f"run {run_id} has begun; save a plan before that, or name another run")
            for number, tables in shards.items():
                planned = settings.options.planned(map(named, tables))
                await ledger.begin_loads(target, run_id, planned, number, status=LoadStatus.PLANNED)


async def selection(settings: Settings, target: Target, shard: int | None) -> Selection:
    """The tables of a process: those of TABLES or, if ETL_PLAN is run, those of its shard in the saved plan.

    Without a shard they are the tables of all shards. Raises ConfigurationError if there is no plan, or no such shard.
    """
    if settings.plan == "own":
        return settings.selection
    run_id = settings.run_id
    loads: Sequence[LoadRow] = []
    if await book.exists(target):
        await book.ensure(target)  # an older version may have written the plan
        loads = await ledger.loads_of(target, [run_id])
    if not loads:
        raise ConfigurationError(
            f"ETL_PLAN is 'run', but the ledger has no plan of run {run_id}; write one with `etl plan --save`, or set"
            " TABLES and leave ETL_PLAN at own"
        )
    tables = [load.table_name for load in loads if shard is None or load.shard == str(shard)]
    if not tables:
        raise ConfigurationError(
            f"ETL_SHARD is {shard}, but the plan of run {run_id} has no table for it, only for shard"
            f" {', '.join(sorted({load.shard or 'none' for load in loads}))}"
        )
    return replace(Selection.parse(tables_text(tables)), origin=f"the plan of run {run_id}")
