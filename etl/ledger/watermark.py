"""Watermarks, in ``etl.watermarks``: the last id that batches have copied of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from etl.ledger.book import now
from etl.ledger.rows import Watermark
from etl.model.errors import ConfigurationError
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query


async def read(target: Target, table: Planned) -> int | None:
    """The last id that batches have copied of a table, or None.

    Raises ConfigurationError if they have copied it to another live table: what they have copied is not in this one.
    """
    found = await rows(target, Watermark, target_query("ledger/watermark"), {"table_name": str(table.source)})
    for mark in found:
        if mark.relation_name is not None and TargetName(mark.schema_name or "", mark.relation_name) != table.live:
            raise ConfigurationError(
                f"{table.source}: batches have copied it to {mark.schema_name}.{mark.relation_name}, and not to"
                f" {table.live}; the ledger has one watermark for a source's table, so copy tables of one name into"
                " databases of their own, or delete the row in etl.watermarks to begin anew"
            )
        return mark.last_id
    return None


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
