"""Watermarks, in ``etl.watermarks``: the last id that batches have copied of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from etl.ledger.book import execute, fetch, watermarks
from etl.ledger.rows import Watermark
from etl.model.name import Relation
from etl.sessions.postgres import Target


async def read(target: Target, table: Relation) -> int | None:
    """The last id that batches have copied of a table, or None."""
    statement = sa.select(watermarks.c.last_id).where(watermarks.c.table_name == str(table))
    rows = await fetch(target, statement, Watermark)
    return rows[0].last_id if rows else None


async def move(target: Target, table: Relation, last_id: int | None, masked: Sequence[str]) -> None:
    """Writes the last id that was copied of a table, and the masked columns, in the caller's transaction."""
    fresh = {"last_id": last_id, "updated_at": datetime.now(UTC), "masked": list(masked)}
    statement = insert(watermarks).values(table_name=str(table), **fresh)
    await execute(target, statement.on_conflict_do_update(index_elements=["table_name"], set_=fresh))
