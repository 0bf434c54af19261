"""Blockers: sessions and prepared transactions that hold a lock on the tables or views that a publish replaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from etl.logs.log import get_logger
from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import target_query

log = get_logger()


async def described(target: Target, tables: Sequence[TargetName]) -> list[str]:
    """Describes the sessions and prepared transactions that hold a lock on the tables, the longest query first.

    Within a transaction, pg_stat_activity would stay as it was first read, without sessions that have connected since.
    """
    await target.execute(b"SELECT pg_catalog.pg_stat_clear_snapshot()")
    cursor = await target.execute(target_query("blockers"), arrays(tables))
    return [f"{_name(row)} on {row['table']}{_since(row['query_start'])}" for row in await cursor.fetchall()]


def _name(blocker: Mapping[str, Any]) -> str:
    if blocker["pid"] is None:
        return f"prepared transaction {blocker['prepared']} ({blocker['user']}; COMMIT or ROLLBACK PREPARED ends it)"
    return f"pid {blocker['pid']} ({blocker['user']}, {blocker['application'] or 'no application name'})"


def _since(query_start: datetime | None) -> str:
    """The start of the query; empty if the server hides it, because this role is no member of pg_read_all_stats."""
    return f" since {query_start:%Y-%m-%d %H:%M:%S %Z}" if query_start else ""


async def end(target: Target, tables: Sequence[TargetName]) -> None:
    """Ends the sessions that hold a lock on the tables; this role has to be theirs, or to have pg_signal_backend."""
    cursor = await target.execute(target_query("end_blockers"), arrays(tables))
    for row in await cursor.fetchall():
        log.warning("publish.ended_blocker", pid=row["pid"], user=row["user"], application=row["application"])
