"""A shard: the part of a run that one of several processes does, all of them from the one snapshot that another holds.

They meet in the ledger. The run ends when somebody says so there: `etl publish`, `etl abort`, or the snapshot's
holder; a shard that fails says so of its tables only, so that it can be tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from etl.ledger import ledger
from etl.model.errors import ConfigurationError, SnapshotLost
from etl.model.selection import Relation
from etl.model.status import LoadStatus, RunStatus
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.target import guard, staging

SNAPSHOT_WAIT = 3900.0
"""Seconds that a shard waits for the run's snapshot: longer than a service looks for a host for the holder, twice.

Batch gives up after 30 minutes by default (infra/modules/batch); then its reason is told, and not the wait of the
shards. A run that ends meanwhile ends the wait.
"""

PAUSE = 0.5
"""Seconds between two looks for it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Joined:
    """What a shard finds when it joins its run: the snapshot, and which of its live tables are staged from it."""

    snapshot_id: str
    at: datetime
    staged: frozenset[Relation]


async def join(control: Target, settings: Settings, live: Mapping[Relation, Relation]) -> Joined:
    """Joins the run, waits for its snapshot, and plans the tables that are not staged from it yet.

    Takes the source's tables by the live ones. Raises SnapshotLost when the snapshot does not come, RunEnded when the
    run has ended, ConfigurationError for a table that the holder has not locked, and where it would publish the run
    in part.
    """
    run_id = settings.run_id
    snapshot_id, at = await _snapshot(control, run_id)
    loads = {ledger.live_of(load): load for load in await ledger.loads_of(control, [run_id])}
    _refuse_unplanned(settings, live, loads)
    there = {table.oid for table in await staging.tables(control)}
    staged = {
        table
        for table in live
        if (load := loads[table])["status"] == LoadStatus.STAGED
        and load["snapshot_id"] == snapshot_id
        and load["staging_oid"] in there
    }
    for table in sorted(staged, key=str):
        log.info("table.skipped", table=str(live[table]), rows=loads[table]["rows"], snapshot_id=snapshot_id)
    left = {table: source for table, source in live.items() if table not in staged}
    await ledger.plan(control, run_id, left, settings.shard)
    return Joined(snapshot_id, at, frozenset(staged))


def _refuse_unplanned(
    settings: Settings, live: Mapping[Relation, Relation], loads: Mapping[Relation, Mapping[str, Any]]
) -> None:
    """Refuses tables that the holder has not locked, and a publish of some of the run's tables."""
    locked = {table for table, load in loads.items() if load["status"] != LoadStatus.PLANNED}
    if strange := [str(source) for table, source in live.items() if table not in locked]:
        raise ConfigurationError(
            f"TABLES: {', '.join(strange)}: not among the tables of run {settings.run_id}, whose snapshot is held"
            " without a lock on it; give `etl snapshot` the tables of all shards"
        )
    others = loads.keys() - set(live)
    if others and settings.publish != "defer":
        raise ConfigurationError(
            f"ETL_PUBLISH is {settings.publish!r}, but run {settings.run_id} has {len(others)} other tables too; set it"
            " to defer, and do `etl publish` when all shards have ended"
        )


async def _snapshot(control: Target, run_id: str) -> tuple[str, datetime]:
    """Waits in the ledger for the snapshot that another process holds for this run."""
    says = True
    try:
        async with asyncio.timeout(SNAPSHOT_WAIT):
            while True:
                await ledger.must_run(control, run_id)
                row = await ledger.run_of(control, run_id)
                if row and row["snapshot_id"]:
                    return row["snapshot_id"], row["snapshot_at"]
                if says:
                    log.info("snapshot.awaited", seconds=SNAPSHOT_WAIT)
                    says = False
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise SnapshotLost(
            f"no snapshot for run {run_id} in the ledger after {SNAPSHOT_WAIT:g} s; start `etl snapshot` for the run,"
            " or leave ETL_SNAPSHOT at own"
        ) from None


async def lost(control: Target, run_id: str, snapshot_id: str) -> SnapshotLost:
    """Tells why the run's snapshot cannot be joined; where it is gone for good, the run has failed."""
    if await guard.is_snapshot_held(control, run_id):
        return SnapshotLost(
            f"the source's snapshot {snapshot_id} is not on this host, though run {run_id} still holds it:"
            " ETL_OPERATIONAL_URL leads to several hosts (a reader endpoint?); name the same single one for all"
        )
    reason = (
        f"the source's snapshot {snapshot_id} is gone: the process that held it for run {run_id} has ended (killed, or"
        " the source failed over); start a new run"
    )
    await ledger.close_run(control, run_id, RunStatus.FAILED, reason)
    return SnapshotLost(reason)
