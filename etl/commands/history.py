"""``etl history``: the last runs and their loads, as the ledger has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from etl.commands.answers import HistoryLoad, HistoryRun
from etl.ledger import book, ledger
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
        loads = await ledger.loads_of(target, [run["run_id"] for run in runs])
    of_run: dict[str, list[HistoryLoad]] = {}
    for load in loads:
        of_run.setdefault(load["run_id"], []).append(HistoryLoad(**_values(HistoryLoad, load)))
    of_runs = [run | {"loads": of_run.get(run["run_id"], [])} for run in runs]
    return [HistoryRun(**_values(HistoryRun, run)) for run in of_runs]


def _values(kind: type[HistoryRun | HistoryLoad], row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an answer from a row of the ledger, with tuples instead of lists."""
    values = {field.name: row[field.name] for field in fields(kind)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
