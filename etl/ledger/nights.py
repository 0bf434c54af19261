"""What the page of a night asks of the ledger: the nights before it, its tables in those, and what readers see."""

from __future__ import annotations

from collections.abc import Sequence

from etl.ledger.looks import PastLoadRow, SeenRow
from etl.ledger.rows import RunRow
from etl.model import limits
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query


async def nights_before(target: Target, run_id: str, most: int) -> list[RunRow]:
    """The nights before a run, the newest first: runs of the same job that had at least half of its tables."""
    asked = {"run_id": run_id, "most": most, "looks": limits.REPORTED_PAGE_LOOKS}
    return await rows(target, RunRow, target_query("ledger/nights_before"), asked)


async def is_newest(target: Target, run_id: str) -> bool:
    """Whether a run is the newest night of its job; runs of a few of its tables are no nights."""
    cursor = await target.execute(target_query("ledger/is_newest"), {"run_id": run_id})
    (row,) = await cursor.fetchall()
    found: bool = row["is_newest"]
    return found


async def past_of_tables(target: Target, run_id: str, nights: Sequence[str]) -> list[PastLoadRow]:
    """The loads of a run's tables in some other runs."""
    asked = {"run_id": run_id, "run_ids": list(nights)}
    return await rows(target, PastLoadRow, target_query("ledger/past_of_tables"), asked)


async def readers_see(target: Target, run_id: str) -> list[SeenRow]:
    """What readers saw in each live table of a run when it had ended."""
    return await rows(target, SeenRow, target_query("ledger/readers_see"), {"run_id": run_id})
