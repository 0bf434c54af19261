"""A shard: the part of a run that one of several processes does, all of them from the one snapshot that another holds.

They meet in the ledger. The run ends when somebody says so there: `etl publish`, `etl abort`, or the snapshot's
holder; a shard that fails says so of its tables only, so that it can be tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl.commands.control import Control
from etl.commands.share import Held
from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model.errors import ConfigurationError, RunEnded, SnapshotLost
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted, own_words
from etl.model.status import LoadStatus, RunStatus
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.source.snapshot import Snapshot
from etl.target import guard, staging

SNAPSHOT_WAIT = 3900.0
"""Seconds that a shard waits for the run's snapshot: longer than a service looks for a host for the holder, twice.

Batch gives up after 30 minutes by default (infra/modules/batch); then its reason is told, and not the wait of the
shards. A run that ends meanwhile ends the wait.
"""

PAUSE = 0.5
"""Seconds between two looks for it."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Shard:
    """The share of a process that does a shard of a run."""

    control: Control
    planned: Sequence[Planned]

    async def begin(self) -> None:
        """Writes that the run has begun, unless another process has."""
        settings = self.control.settings
        await ledger.join_run(self.control.session, settings.run_id, settings.publish)

    async def snapshot(self) -> Held:
        """Waits for the run's snapshot, and plans the tables that are not staged from it yet.

        Raises SnapshotLost when the snapshot does not come, RunEnded when the run has ended, ConfigurationError for a
        table that the holder has not locked, and where it would publish the run in part.
        """
        session, settings = self.control.session, self.control.settings
        snapshot_id, at = await _snapshot(session, settings.run_id)
        loads = {ledger.live_of(load): load for load in await ledger.loads_of(session, [settings.run_id])}
        _refuse_unplanned(settings, self.planned, loads)
        staging_oids = set((await staging.tables(session)).values())
        left = [one for one in self.planned if not _is_staged(loads[one.live], snapshot_id, staging_oids)]
        for one in sorted(set(self.planned) - set(left), key=lambda one: one.live):
            rows = loads[one.live]["rows"]
            log.info("table.skipped", table=str(one.source), rows=rows, snapshot_id=snapshot_id)
        await ledger.begin_loads(session, settings.run_id, left, settings.shard)
        return Held(Snapshot(snapshot_id, at, None, len(left)), left)

    async def lost(self, held: Snapshot, error: SnapshotLost, attempt: int) -> None:
        """Raises: only the holder could take another snapshot. Where it is gone for good, the run has failed."""
        raise await _lost(self.control.session, self.control.settings.run_id, held.id) from error

    async def useless(self) -> list[TargetName]:
        """The tables that are not staged, because a shard may be tried again; all of them when the run has ended."""
        session, run_id = self.control.session, self.control.settings.run_id
        live = [one.live for one in self.planned]
        try:
            await ledger.must_run(session, run_id)
        except RunEnded:
            return live
        staged = await ledger.staging_oids(session, run_id)
        return [table for table in live if table not in staged]

    async def close(self, status: RunStatus, reason: Redacted) -> None:
        """Leaves the run open: a shard that failed may be tried again."""


def _is_staged(load: Mapping[str, Any], snapshot_id: str, staging_oids: Collection[int]) -> bool:
    """Tells whether an earlier try of the shard has staged a table, and its staging table is still there."""
    is_current = load["status"] == LoadStatus.STAGED and load["snapshot_id"] == snapshot_id
    return is_current and load["staging_oid"] in staging_oids


def _refuse_unplanned(
    settings: Settings, planned: Sequence[Planned], loads: Mapping[TargetName, Mapping[str, Any]]
) -> None:
    """Refuses tables that the holder has not locked, and a publish of some of the run's tables."""
    locked = {table for table, load in loads.items() if load["status"] != LoadStatus.PLANNED}
    if strange := [str(one.source) for one in planned if one.live not in locked]:
        raise ConfigurationError(
            f"TABLES: {', '.join(strange)}: not among the tables of run {settings.run_id}, whose snapshot is held"
            " without a lock on it; give `etl snapshot` the tables of all shards"
        )
    others = loads.keys() - {one.live for one in planned}
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


async def _lost(control: Target, run_id: str, snapshot_id: str) -> SnapshotLost:
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
    await ledger.close_run(control, run_id, RunStatus.FAILED, own_words(reason))
    return SnapshotLost(reason)
