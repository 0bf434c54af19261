"""A shard: the tables of a run that one of several processes loads, from the snapshot that the holder has taken.

The processes exchange everything through the ledger. `etl publish`, `etl abort` or the snapshot's holder ends the run
there. A shard that fails records only the failure of its tables, so that the shard can be tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from etl.commands.control import Control
from etl.commands.share import Held
from etl.ledger import ledger
from etl.ledger.rows import LoadRow
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import ConfigurationError, RunEnded, SnapshotLost
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted, own_words
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.model.way import RunWay
from etl.sessions.postgres import Target
from etl.settings.settings import Settings
from etl.source.snapshot import Snapshot
from etl.target import guard, staging

log = get_logger()


@dataclass(frozen=True, slots=True)
class Shard:
    """The share of a process that loads one shard of a run."""

    control: Control
    planned: Sequence[Planned]

    async def begin(self) -> None:
        """Writes the run into the ledger, unless another process has done so."""
        settings = self.control.settings
        await ledger.join_run(self.control.session, settings.run_id, settings.publish, settings.job)

    async def snapshot(self) -> Held:
        """Waits for the run's snapshot; returns it with the tables that are not staged from it yet.

        Raises SnapshotLost if no snapshot is in the ledger in time, RunEnded if the run has ended, ConfigurationError
        for a table that the holder has not locked, and if this shard would publish a part of the run.
        """
        session, settings = self.control.session, self.control.settings
        snapshot_id, at, way = await _snapshot(session, settings.run_id)
        refuse_other_way(settings, way)
        loads = {load.live: load for load in await ledger.loads_of(session, [settings.run_id])}
        _refuse_unplanned(settings, self.planned, loads)
        staging_oids = set((await staging.tables(session)).values())
        left = [table for table in self.planned if not _is_staged(loads[table.live], snapshot_id, staging_oids)]
        for table in sorted(set(self.planned) - set(left), key=lambda table: table.live):
            rows = loads[table.live].rows
            log.info("table.skipped", table=str(table.source), rows=rows, snapshot_id=snapshot_id)
        await ledger.begin_loads(session, settings.run_id, left, settings.shard)
        mine = [table.live for table in left]
        others = [Planned(named(load.table_name), live) for live, load in loads.items() if live not in {*mine}]
        # an older version's holder has decided nothing; then nothing is merged, so that no reader sees a mixture
        return Held(Snapshot(snapshot_id, at, None, len(left)), left, RunWay(way) if way else RunWay.SWAP, others)

    async def lost(self, held: Snapshot, error: SnapshotLost, attempt: int) -> None:
        """Raises SnapshotLost, because only the holder takes snapshots; if the holder has ended, closes the run."""
        raise await _lost(self.control.session, self.control.settings.run_id, held.id) from error

    async def useless(self) -> list[TargetName]:
        """The tables that are not staged, because a shard may be tried again; all tables if the run has ended."""
        session, run_id = self.control.session, self.control.settings.run_id
        live = [table.live for table in self.planned]
        try:
            await ledger.must_run(session, run_id)
        except RunEnded:
            return live
        loads = await ledger.loads_of(session, [run_id])
        staged = {load.live for load in loads if load.status == LoadStatus.STAGED}
        return [table for table in live if table not in staged]

    async def close(self, status: RunStatus, reason: Redacted) -> None:
        """Leaves the run open: a shard that failed may be tried again."""


def _is_staged(load: LoadRow, snapshot_id: str, staging_oids: Collection[int]) -> bool:
    """Whether an earlier attempt of the shard has staged a table, and its staging table still exists."""
    is_current = load.status == LoadStatus.STAGED and load.snapshot_id == snapshot_id
    return is_current and (load.has_no_staging or load.staged_oid in staging_oids)


def refuse_other_way(settings: Settings, way: str | None) -> None:
    """Raises ConfigurationError if the settings want the run's tables to become live in another way than it has."""
    if way is not None and settings.publish_way not in {"auto", way}:
        raise ConfigurationError(
            f"ETL_PUBLISH_WAY is {settings.publish_way}, and the tables of run {settings.run_id} are loaded for {way};"
            f" set it to auto or {way}, or start a new run"
        )


def _refuse_unplanned(settings: Settings, planned: Sequence[Planned], loads: Mapping[TargetName, LoadRow]) -> None:
    """Raises ConfigurationError for tables that the holder has not locked, and for a publish of a part of the run."""
    locked = {table for table, load in loads.items() if load.status != LoadStatus.PLANNED}
    if strange := [str(table.source) for table in planned if table.live not in locked]:
        raise ConfigurationError(
            f"TABLES: {', '.join(strange)}: not among the tables of run {settings.run_id}, whose snapshot is held"
            " without a lock on it; give `etl snapshot` the tables of all shards"
        )
    others = loads.keys() - {table.live for table in planned}
    if others and settings.publish != "defer":
        raise ConfigurationError(
            f"ETL_PUBLISH is {settings.publish!r}, but run {settings.run_id} has {len(others)} other tables too; set it"
            " to defer, and do `etl publish` when all shards have ended"
        )


async def _snapshot(control: Target, run_id: str) -> tuple[str, datetime, str | None]:
    """Waits until the holder has written the run's snapshot into the ledger; returns id, instant and the run's way."""
    says = True
    try:
        async with asyncio.timeout(limits.SNAPSHOT_WAIT_SECONDS):
            while True:
                await ledger.must_run(control, run_id)
                row = await ledger.run_of(control, run_id)
                if row and row.snapshot_id and row.snapshot_at:
                    return row.snapshot_id, row.snapshot_at, row.publish_way
                if says:
                    log.info("snapshot.awaited", seconds=limits.SNAPSHOT_WAIT_SECONDS)
                    says = False
                await asyncio.sleep(limits.SNAPSHOT_WAIT_PAUSE_SECONDS)
    except TimeoutError:
        raise SnapshotLost(
            f"no snapshot for run {run_id} in the ledger after {limits.SNAPSHOT_WAIT_SECONDS:g} s; start `etl snapshot`"
            " for the run, or leave ETL_SNAPSHOT at own"
        ) from None


async def _lost(control: Target, run_id: str, snapshot_id: str) -> SnapshotLost:
    """The error that says why no session can import the run's snapshot; if its holder has ended, closes the run."""
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
