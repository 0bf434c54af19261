"""What the ledger says of the last runs and their loads."""

from __future__ import annotations

from typing import Any

from etl.ledger import book, ledger
from etl.sessions.postgres import target_session
from etl.settings.settings import Settings
from etl.target import guard


async def history(settings: Settings, limit: int, run_id: str | None = None) -> list[dict[str, Any]]:
    """Gives the newest runs, newest first, or the one asked for, each with its ``loads``; [] without a ledger."""
    async with target_session(settings.target, guard.application("history")) as target:
        if not await book.exists(target):
            return []
        await book.prepare(target)
        if run_id is None:
            runs = await ledger.latest_runs(target, limit)
        else:
            runs = [run for run in [await ledger.run_of(target, run_id)] if run is not None]
        loads = await ledger.loads_of(target, [run["run_id"] for run in runs])
    return [run | {"loads": [load for load in loads if load["run_id"] == run["run_id"]]} for run in runs]
