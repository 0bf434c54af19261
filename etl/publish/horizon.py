"""Freezes rows that were copied in page ranges, so that every snapshot sees them, before the publish.

COPY can freeze rows only in the transaction that made the table, so rows that several sessions copy are not frozen. A
REPEATABLE READ transaction whose snapshot is older than such rows would see the published table without them. So the
publish waits until no snapshot is older, and then lets VACUUM freeze the rows. On a replica, replaying that VACUUM
conflicts with queries whose snapshots are older, so they cannot miss the rows either; and the live table needs no
VACUUM for them later. ``pg_class.relfrozenxid`` shows whether VACUUM has frozen all rows: VACUUM takes every snapshot
into account, including those of prepared transactions and of replicas with hot_standby_feedback.
"""

# docs/decisions.md, "Page ranges arrive unfrozen"

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from psycopg import sql

from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import PublishBlocked
from etl.model.name import TargetName, arrays
from etl.publish import blockers
from etl.sessions.postgres import Target
from etl.sessions.query import target_query

log = get_logger()


async def wait(target: Target, xids: Mapping[TargetName, int], deadline: float) -> None:
    """Waits until no snapshot is older than the tables' staged rows, and freezes these.

    Takes an idle session, and the newest transaction that wrote rows of each live table's staging table. Raises
    PublishBlocked, naming the sessions with older snapshots, after ``deadline`` seconds.
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
        if monotonic() - said > limits.HORIZON_LOG_SECONDS:
            log.info("publish.blocked", attempt=0, blocked_ms=0.0, blockers=holders)
            said = monotonic()
        await asyncio.sleep(limits.HORIZON_PAUSE_SECONDS)


async def end_holders(target: Target, xids: Mapping[TargetName, int]) -> list[str]:
    """Ends the sessions with older snapshots; returns why sessions could not be ended, one line each.

    This session's role has to be theirs, or to have pg_signal_backend.
    """
    if not await _unfrozen(target, xids):
        return []
    cursor = await target.execute(target_query("old_snapshots"), {"xid": max(xids.values())})
    to_end = {row["pid"]: row["who"] for row in await cursor.fetchall() if row["pid"] is not None}
    refused = [await blockers.terminate(target, pid, who=who) for pid, who in to_end.items()]
    return [reason for reason in refused if reason]


async def _unfrozen(target: Target, xids: Mapping[TargetName, int]) -> list[TargetName]:
    if not xids:
        return []
    staged = {table.staging: table for table in xids}
    wanted = {**arrays(staged), "xids": [str(xid) for xid in xids.values()]}
    cursor = await target.execute(target_query("unfrozen"), wanted)
    return [staged[TargetName(row["schema"], row["name"])] for row in await cursor.fetchall()]


async def _holders(target: Target, xid: int) -> list[str]:
    """Describes the sessions whose snapshots are older than a transaction, the oldest first."""
    cursor = await target.execute(target_query("old_snapshots"), {"xid": xid})
    return [
        row["who"] + (f" since {row['since']:%Y-%m-%d %H:%M:%S %Z}" if row["since"] else "")
        for row in (await cursor.fetchall())[: limits.BLOCKERS_NAMED]
    ]
