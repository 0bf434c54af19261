"""Retired tables: live tables that no run refreshes any more, as somebody has said (``etl retire``)."""

from __future__ import annotations

from etl.ledger.book import now
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.query import target_query


async def retire(target: Target, oid: int, live: TargetName, *, is_dropped: bool) -> None:
    """Writes that a live table is retired, in the caller's transaction.

    If it is dropped, the position of its batches goes, too: the next batch finds an empty table.
    """
    retired = {"oid": oid, "schema": live.schema, "name": live.name, "at": now()}
    for name in ("retire_load", "forget_batches" if is_dropped else "retire_batches"):
        await target.execute(target_query(f"ledger/{name}"), retired)
