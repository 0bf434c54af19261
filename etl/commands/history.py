"""``etl history``: the last runs and their loads, as the ledger has them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from etl.commands.answers import HistoryLoad, HistoryRun
from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow, RunRow
from etl.sessions.postgres import target_session
from etl.settings.settings import Settings
from etl.target import guard


async def history(settings: Settings, limit: int, run_id: str | None = None) -> list[HistoryRun]:
    """The last ``limit`` runs, the newest first, or the run ``run_id``; [] if there is no ledger."""
    async with target_session(settings.target, guard.application("history")) as target:
        if not await book.exists(target):
            return []
        await book.ensure(target)
        if run_id is None:
            runs = await ledger.latest_runs(target, limit)
        else:
            runs = [run for run in [await ledger.run_of(target, run_id)] if run is not None]
        loads = await ledger.loads_of(target, [run.run_id for run in runs])
        waiting = [one for one in await ledger.waiting(target) if one.is_needed]
    of_run: dict[str, list[HistoryLoad]] = {}
    for load in loads:
        of_run.setdefault(load.run_id, []).append(HistoryLoad(**_values(HistoryLoad, load)))
    return [
        HistoryRun(
            **_values(HistoryRun, run),
            loads=tuple(of_run.get(run.run_id, [])),
            waiting=tuple(str(one) for one in waiting if one.run_id == run.run_id),
        )
        for run in runs
    ]


def _values(kind: type[HistoryRun | HistoryLoad], row: RunRow | LoadRow) -> dict[str, Any]:
    """A row of the ledger as the answer has it; its lists as tuples, which do not change."""
    values = {field.name: getattr(row, field.name) for field in fields(kind) if hasattr(row, field.name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
