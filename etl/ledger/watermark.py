"""Watermarks, in ``etl.watermarks``: the last id that batches have copied of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from etl.ledger.book import now
from etl.ledger.rows import Watermark
from etl.model.name import Planned, Relation
from etl.model.redaction import Redacted
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query


async def read(target: Target, table: Relation) -> int | None:
    """The last id that batches have copied of a table, or None."""
    found = await rows(target, Watermark, target_query("ledger/watermark"), {"table_name": str(table)})
    return found[0].last_id if found else None


async def move(
    target: Target,
    table: Planned,
    last_id: int | None,
    masked: Sequence[str],
    *,
    rows: int,
    as_of: datetime,
    note: Redacted | None,
) -> None:
    """Writes the last id that was copied of a table, in the caller's transaction, and what the batch was.

    That is its number of rows, the time of its snapshot, the masked columns and the table's note.
    """
    moved = {
        "table_name": str(table.source),
        "schema_name": table.live.schema,
        "relation_name": table.live.name,
        "last_id": last_id,
        "masked": list(masked),
        "at": now(),
        "as_of": as_of,
        "rows": rows,
        "note": note and encoding.spelt(target, note),
    }
    await target.execute(target_query("ledger/move_watermark"), moved)
