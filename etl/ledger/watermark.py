"""Watermarks, in ``etl.watermarks``: the last id that batches have copied of a table."""

from __future__ import annotations

from collections.abc import Sequence

from etl.ledger.book import now
from etl.ledger.rows import Watermark
from etl.model.name import Relation
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query


async def read(target: Target, table: Relation) -> int | None:
    """The last id that batches have copied of a table, or None."""
    found = await rows(target, Watermark, target_query("ledger/watermark"), {"table_name": str(table)})
    return found[0].last_id if found else None


async def move(target: Target, table: Relation, last_id: int | None, masked: Sequence[str]) -> None:
    """Writes the last id that was copied of a table, and the masked columns, in the caller's transaction."""
    moved = {"table_name": str(table), "last_id": last_id, "masked": list(masked), "at": now()}
    await target.execute(target_query("ledger/move_watermark"), moved)
