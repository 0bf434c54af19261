"""``etl history``: the last runs and their loads, as the ledger has them; or the last loads of one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from etl.commands import outcome
from etl.commands.accounts import HistoryLoad, HistoryRun
from etl.commands.slowness import slow
from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow, RunRow
from etl.model.errors import ConfigurationError, EtlError
from etl.model.name import label
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.sessions import advisory
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard

RUNS, NIGHTS = 5, 30
"""How many runs are shown by default, and how many nights of one table."""


async def history(
    settings: Settings, limit: int | None, run_id: str | None = None, *, last_good: bool = False
) -> list[HistoryRun]:
    """The last ``limit`` runs, the newest first, or the run ``run_id``; [] if there is no ledger.

    ``last_good`` leaves out all runs that were not published, and shows the last one alone unless there is a limit.
    With a job (ETL_JOB), only its runs count. Raises EtlError if no run was published yet.
    """
    async with target_session(settings.target, guard.application("history")) as target:
        if not await book.exists(target):
            return []
        await book.ensure(target)
        if run_id is not None:
            runs = await ledger.runs_of(target, [run_id])
        elif last_good:
            runs = await ledger.latest_runs(target, limit or 1, RunStatus.PUBLISHED, job=settings.job)
        else:
            runs = await ledger.latest_runs(target, limit or RUNS, job=settings.job)
        if last_good and not runs:
            raise EtlError("no run is published yet; `etl history` shows why")
        return await _told(target, runs, await ledger.loads_of(target, [run.run_id for run in runs]))


async def of_table(settings: Settings, table: str, limit: int | None, *, last_good: bool = False) -> list[HistoryRun]:
    """The last runs that have loaded a table, the newest first, each with that load alone; [] if there is no ledger.

    Raises ConfigurationError if no run has loaded the table.
    """
    async with target_session(settings.target, guard.application("history")) as target:
        if not await book.exists(target):
            return []
        await book.ensure(target)
        name = _named(table, await ledger.loaded(target, job=settings.job))
        status = LoadStatus.PUBLISHED if last_good else None
        most = limit or (1 if last_good else NIGHTS)
        nights = await ledger.nights(target, name, most, status, job=settings.job)
        loads = await ledger.loads_of(target, nights, name)
        runs = await _told(target, await ledger.runs_of(target, nights), loads)
    return list(_judged(runs))


def _named(table: str, loaded: Sequence[str]) -> str:
    """The table's name in the ledger; raises ConfigurationError if the ledger has no load of it."""
    for name in (table, label("public", table)):
        if name in loaded:
            return name
    alike = [name for name in loaded if named(name).name == table]
    if len(alike) == 1:
        return alike[0]
    near = alike or get_close_matches(table, loaded, n=1) or get_close_matches(f"public.{table}", loaded, n=1)
    remedy = f"did you mean {' or '.join(near)}?" if near else "write its name in the source, such as public.orders"
    raise ConfigurationError(f"--table is {table!r}, of which the ledger has no load; {remedy}")


def _judged(runs: Sequence[HistoryRun]) -> Iterable[HistoryRun]:
    """The runs of one table; each load says whether it is among the slow ones."""
    timed = [run for run in reversed(runs) if run.loads and _seconds(run.loads[0]) is not None]
    judged = slow([_seconds(run.loads[0]) or 0.0 for run in timed])
    slow_ids = {run.run_id for run in timed[judged.since :]} if judged else set()
    known = {run.run_id for run in timed}
    for run in runs:
        of_run = (replace(load, is_slow=run.run_id in slow_ids if run.run_id in known else None) for load in run.loads)
        yield replace(run, loads=tuple(of_run))


def _seconds(load: HistoryLoad) -> float | None:
    """The seconds of a load that was staged."""
    if load.status == LoadStatus.FAILED or load.started_at is None or load.finished_at is None:
        return None
    return (load.finished_at - load.started_at).total_seconds()


async def alive(target: Target, runs: Iterable[RunRow]) -> Mapping[str, bool]:
    """Of runs that are running according to the ledger: whether a process has the run's lock."""
    running = [run.run_id for run in runs if run.status == RunStatus.RUNNING]
    free = {lock.name for lock in await advisory.free(target, advisory.of_runs(running))} if running else set()
    return {run_id: run_id not in free for run_id in running}


async def _told(target: Target, runs: Sequence[RunRow], loads: Sequence[LoadRow]) -> list[HistoryRun]:
    waiting = [one for one in await ledger.waiting(target) if one.is_needed]
    living = await alive(target, runs)
    dead = set(await ledger.running(target)) - {run_id for run_id, lives in living.items() if lives}
    by_id = {run.run_id: run for run in runs}
    of_run: dict[str, list[HistoryLoad]] = {}
    for load in loads:
        if run := by_id.get(load.run_id):
            values = _values(HistoryLoad, load) | {"outcome": outcome.of(load, run)}
            of_run.setdefault(load.run_id, []).append(HistoryLoad(**values))
    return [
        HistoryRun(
            **_values(HistoryRun, run),
            is_alive=living.get(run.run_id),
            is_dead=run.run_id in dead and run.run_id in living,
            loads=tuple(of_run.get(run.run_id, [])),
            waiting=tuple(str(one) for one in waiting if one.run_id == run.run_id),
        )
        for run in runs
    ]


def _values(kind: type[HistoryRun | HistoryLoad], row: RunRow | LoadRow) -> dict[str, Any]:
    """A row of the ledger as the answer has it; its lists as tuples, which do not change."""
    values = {field.name: getattr(row, field.name) for field in fields(kind) if hasattr(row, field.name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
