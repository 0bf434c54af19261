"""Rows that several sessions wrote are not frozen: here they become visible to every snapshot, before the publish.

A transaction in REPEATABLE READ whose snapshot is older than such rows would find today's table with none of them. So
the publish waits until no snapshot is older, and then has VACUUM freeze them: the WAL of that holds a replica's readers
to the same, and no vacuum debt is left to the live table. How far VACUUM came, which knows of every snapshot, replicas'
and prepared transactions' too, is what tells: ``pg_class.relfrozenxid``.
"""

# docs/decisions.md, "Page ranges arrive unfrozen"

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from psycopg import sql

from etl.logs.log import get_logger
from etl.model.errors import PublishBlocked
from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import target_query

PAUSE = 0.5
"""Seconds between two looks at the snapshots."""

SAY_EVERY = 30.0
"""Seconds between two lines in the log about who is in the way."""

log = get_logger()


async def wait(target: Target, xids: Mapping[TargetName, int], deadline: float) -> None:
    """Freezes the staging tables of the live tables given, when no snapshot is older than what wrote their rows.

    Takes an idle session, and for each table the newest transaction that wrote into it. Raises PublishBlocked, naming
    the sessions whose snapshots are older, after ``deadline`` seconds.
    """
    ends, said = monotonic() + deadline, 0.0
    while unfrozen := await _unfrozen(target, xids):
        newest = max(xids.values())
        if not (holders := await _holders(target, newest)):
            for table in unfrozen:
                await target.execute(sql.SQL("VACUUM (FREEZE) {}").format(table.staging.identifier))
            if not (unfrozen := await _unfrozen(target, xids)):
                return
            holders = ["a snapshot that began meanwhile"]
        if monotonic() >= ends:
            raise PublishBlocked(
                f"for {deadline:g} s a snapshot was older than the rows of {', '.join(map(str, unfrozen))}, held by"
                f" {', '.join(holders)}; end it, or load these tables in one stream (split = false in their options)"
            )
        if monotonic() - said > SAY_EVERY:
            log.info("publish.blocked", attempt=0, blocked_ms=0.0, blockers=holders)
            said = monotonic()
        await asyncio.sleep(PAUSE)


async def end_holders(target: Target, xids: Mapping[TargetName, int]) -> None:
    """Ends the sessions whose snapshots are older; needs pg_signal_backend, or the same role."""
    if not await _unfrozen(target, xids):
        return
    cursor = await target.execute(target_query("old_snapshots"), {"xid": max(xids.values())})
    for row in await cursor.fetchall():
        if row["pid"] is not None:
            await target.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [row["pid"]])
            log.warning("publish.ended_blocker", pid=row["pid"], who=row["who"])


async def _unfrozen(target: Target, xids: Mapping[TargetName, int]) -> list[TargetName]:
    if not xids:
        return []
    staged = {table.staging: table for table in xids}
    wanted = {**arrays(staged), "xids": [str(xid) for xid in xids.values()]}
    cursor = await target.execute(target_query("unfrozen"), wanted)
    return [staged[TargetName(row["schema"], row["name"])] for row in await cursor.fetchall()]


async def _holders(target: Target, xid: int) -> list[str]:
    """Says who has a snapshot that is older than what a transaction wrote, the oldest first."""
    cursor = await target.execute(target_query("old_snapshots"), {"xid": xid})
    return [
        row["who"] + (f" since {row['since']:%Y-%m-%d %H:%M:%S %Z}" if row["since"] else "")
        for row in await cursor.fetchall()
    ]
