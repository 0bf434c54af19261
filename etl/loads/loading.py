"""Loads all tables of a process from one snapshot: ``ETL_JOBS`` tables at once, the largest first."""

# docs/decisions.md, "Progress is told where the run looks whether it goes on"

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from etl.ledger import ledger
from etl.loads import prospects, survey
from etl.loads.basis import Instant, Merges
from etl.loads.budget import Budget
from etl.loads.load import Loader
from etl.loads.progress import Tally
from etl.loads.prospects import Deciding, Outset
from etl.loads.schedule import Schedule
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.clock import Began
from etl.model.errors import EXPECTED, ConnectionFailed, RunEnded, SnapshotLost, one_line
from etl.model.name import Planned, TargetName
from etl.model.record import Load
from etl.model.table import Table
from etl.model.way import RunWay
from etl.sessions.pair import Pair
from etl.sessions.postgres import Target
from etl.sessions.tasks import together
from etl.settings.settings import Settings
from etl.source import bodies
from etl.source.snapshot import Snapshot
from etl.target import guard, live, memory, staging

log = get_logger()


@dataclass(frozen=True, slots=True)
class Loading:
    """The loads of some tables of a run from one snapshot.

    ``control`` is the run's control session. ``tally`` counts how far the loads are. Each load is appended to ``loads``
    when it ends, whether it succeeded or failed. ``merges`` tells into which live tables rows can be merged. ``others``
    are the run's tables that other processes load, or have loaded. ``turn`` lets one task at a time use the control
    session.
    """

    settings: Settings
    control: Target
    snapshot: Snapshot
    planned: Sequence[Planned]
    tally: Tally
    loads: list[Load]
    merges: Merges
    others: Sequence[Planned] = ()
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def all(self) -> RunWay:
        """Loads the tables; returns how they become live.

        If a load fails, it is recorded and the others go on, so that one night shows all failures.

        Raises the errors with which all other loads would fail, too: SnapshotLost, ConnectionFailed, and RunEnded if
        another process ends the run meanwhile.
        """
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(over))
                way = await self._load_all()
                over.set()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return way

    async def _watch(self, over: asyncio.Event) -> None:
        """Looks whether the run goes on, and tells how far it is: the ledger at each look, the log now and then."""
        said = monotonic()
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), limits.RUN_WATCH_SECONDS)
            async with self.turn:
                news = self.tally.news()
                written = await ledger.tell(self.control, self.settings.run_id, self.snapshot.id, news)
            self.tally.told([one for one in news if one.table_name in written])
            if monotonic() - said >= limits.PROGRESS_LOG_SECONDS:
                said = monotonic()
                self._say_progress()

    def _say_progress(self) -> None:
        tally, going = self.tally, self.tally.under_way()
        log.info(
            "run.progress",
            tables=tally.tables,
            staged=tally.staged,
            failed=tally.broken,
            loading=[one.table_name for one in going],
            rows=sum(load.rows or 0 for load in self.loads) + sum(one.rows for one in going),
            bytes=sum(load.bytes or 0 for load in self.loads) + sum(one.bytes for one in going),
        )

    async def _load_all(self) -> RunWay:
        async with self.turn:
            wanted = [table.source for table in self.planned]
            tables = await survey.survey(self.settings, self.control, self.snapshot, wanted)
            outset = await self._outset(tables)
            settings = self.settings.by(outset.decision.way)
            tables = await survey.placed(settings, self.control, tables)
            drifted = await survey.say_drifted(self.control, tables)
            loader = await self._loader(settings, outset, drifted)
        self.tally.surveyed(tables)
        try:
            await together(self._load(loader, table) for table in tables)
        finally:
            await loader.schedule.close()
        return outset.decision.way

    async def _loader(self, settings: Settings, outset: Outset, drifted: Mapping[TargetName, str]) -> Loader:
        live_tables = [table.live for table in self.planned]
        share = await memory.of_session(self.control, settings.index_memory, settings.jobs)
        session = settings.source, settings.target, guard.application(settings.run_id), share
        return Loader(
            settings.run_id,
            self.snapshot,
            settings.verify,
            settings.load,
            settings.options,
            self.tally,
            Schedule([Pair(*session) for _ in range(settings.jobs)]),
            await ledger.carried(self.control, live_tables),
            await live.owners(self.control, live_tables),
            settings.redact,
            outset.chances,
            Instant(self.snapshot.seen),
            outset.decision.way,
            Budget(settings.merge_max),
            {name: settings.redact(changes) for name, changes in drifted.items()},
        )

    async def _outset(self, tables: Sequence[Table]) -> Outset:
        """Decides, unless that is done; the schemas for what deltas delete are made."""
        settings, held = self.settings, self.snapshot if self.snapshot.holder else None
        outset = await Deciding(settings, self.control, self.merges, self.others).outset(tables, held)
        await staging.create_gone_schemas(self.control, [live for live, one in outset.chances.items() if one.published])
        if held is not None:  # otherwise the holder has done so
            await ledger.decided(self.control, settings.run_id, outset.decision.way)
            prospects.say(outset.decision)
        return outset

    async def _load(self, loader: Loader, table: Table) -> None:
        try:
            load = await loader.load(table)
        except (SnapshotLost, ConnectionFailed, RunEnded):
            raise  # every other load would fail with it, too
        except EXPECTED as error:
            is_of_body = table.source.kind == "v" and bodies.is_lost_name(error)
            reason = self.settings.redact(f"{one_line(error)}; {bodies.REMEDY}" if is_of_body else error)
            self.tally.failed(table)
            log.error("table.failed", table=str(table), error=reason)
            began, drift = loader.began.get(str(table), Began()), loader.drifted.get(table.live)
            load = Load.failed(str(table), table.live, began, reason, drift)
            async with self.turn:
                await ledger.record(self.control, self.settings.run_id, load)
        self.loads.append(load)
