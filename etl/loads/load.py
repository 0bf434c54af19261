"""The load of one table within a run, from the source's rows to a staging table that is ready to be published.

Read this module first. A load has three steps, each of which can be tried again by itself:

1. *fill* makes the staging table and copies into it the rows that the run's snapshot shows: in one stream or, if the
   table is big, in page ranges side by side (``way.py``).
2. *index* builds the indexes of a big table, each in its own session. A small table skips this step.
3. *finish* makes the remaining indexes, the constraints, the comments and the statistics, and writes "staged" into the
   ledger. It is one transaction, so the ledger never calls a table staged that is not.

Only *fill* reads the source, so the source's vacuum does not wait for index builds on the target. Each step takes a
pair of connections from the schedule, which has ``ETL_JOBS`` pairs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from psycopg import sql

from etl.loads.basis import Chance, Instant
from etl.loads.budget import Budget
from etl.loads.delta import Delta
from etl.loads.finish import Built, Finish, build_index, is_staged
from etl.loads.progress import Progress
from etl.loads.ranges import Ranges
from etl.loads.schedule import Schedule
from etl.loads.way import Filled, Rows, Way
from etl.loads.whole import Whole
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.base import FullEvery
from etl.model.clock import Began
from etl.model.errors import LoadFailed, Unclassified
from etl.model.name import TargetName
from etl.model.record import Load
from etl.model.redaction import Redacted, Redactor
from etl.model.status import LoadKind
from etl.model.table import PageRange, Table
from etl.model.way import RunWay
from etl.sessions.pair import Pair
from etl.sessions.retry import retried
from etl.sessions.tasks import together
from etl.settings.options import Options
from etl.source.snapshot import Snapshot
from etl.target import staging

T = TypeVar("T")


log = get_logger()


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads the tables of a run, and has all that their loads share.

    ``carried`` names, for each live table, the indexes and constraints that the source brought at its last load.
    ``owners`` has the live tables that another role than etl's owns. ``chances`` say which loads may be deltas,
    ``instant`` of which moment, ``way`` how the tables become live, and ``budget`` how long merges may take.
    ``drifted`` says of the tables whose columns have changed how they have. ``began`` is when each table's load began,
    and ``tries`` has the loads that attempts at the finish were to record.
    """

    run_id: str
    snapshot: Snapshot
    verify: str
    load_kind: str
    options: Options
    progress: Progress
    schedule: Schedule
    carried: Mapping[TargetName, frozenset[str]]
    owners: Mapping[TargetName, str]
    redact: Redactor
    chances: Mapping[TargetName, Chance]
    instant: Instant
    way: RunWay
    budget: Budget
    drifted: Mapping[TargetName, Redacted]
    began: dict[str, Began] = field(default_factory=dict)
    tries: dict[str, list[Load]] = field(default_factory=dict)

    async def load(self, table: Table) -> Load:
        """Stages one table; returns the load as the ledger has it.

        Raises LoadFailed, SnapshotLost, or an error of the database driver when another attempt would not help.
        """
        is_big = bool(table.ranges) or table.bytes >= limits.SIDE_BY_SIDE_INDEX_BYTES
        # a small table keeps its pair from the first row to the last; a big one takes another for each piece of work
        async with nullcontext() if is_big else self.schedule.turn(table.bytes) as pair:
            filled = await self._fill(table, pair)
            self.progress.copied(table)
            built = await self._index(table) if is_big and filled.kind == LoadKind.FULL else Built()
            load = await self._work(table, lambda pair: self._finish(table, pair, filled, built), pair)
        self.progress.finished(table)
        _say(table, load)
        return load

    async def _fill(self, table: Table, pair: Pair | None) -> Filled:
        async def work(step: Callable[[Pair], Awaitable[T]], *, within: PageRange | None = None) -> T:
            return await self._work(table, step, pair, within)

        try:
            _refuse(table)
            return await self._way(table).fill(work)
        finally:
            await self.snapshot.table_read()

    def _way(self, table: Table) -> Way:
        """The way in which a table's rows are loaded."""
        verify = self.options.of(table.source).verify or self.verify
        rows = Rows(self.snapshot, table, verify, lambda size: self.progress.advanced(table, size))
        whole = Ranges(rows) if table.ranges else Whole(rows)
        if (chance := self.chances.get(table.live)) is None:
            return whole
        options = self.options.of(table.source)
        full_every, is_wanted = options.full_every or FullEvery(), (options.load or self.load_kind) == "delta"
        usual = limits.PROOF_NIGHTS if options.proof_nights is None else options.proof_nights
        nights = 1 if verify == "checksum" else usual
        if options.publish == "in-place":  # its full load would be merged, too
            return Delta(rows, chance, self.instant, whole, full_every, nights, is_wanted, at_most=1.0)
        at_most = 0.0 if self.way == RunWay.SWAP else limits.DELTA_AT_MOST
        return Delta(rows, chance, self.instant, whole, full_every, nights, is_wanted, at_most, self.budget)

    async def _index(self, table: Table) -> Built:
        """Builds a big table's indexes side by side, those of keys first."""
        began, options = perf_counter(), self.options.of(table.source)
        names = [index.name for index in table.separable_indexes]
        builds = [partial(build_index, table, index, options) for index in table.separable_indexes]
        reasons = await together(self._work(table, build) for build in builds)
        skipped = {name: reason for name, reason in zip(names, reasons, strict=True) if reason is not None}
        return Built(frozenset(names) - skipped.keys(), skipped, perf_counter() - began)

    async def _finish(self, table: Table, pair: Pair, filled: Filled, built: Built) -> Load:
        writer, again = await pair.writer(), str(table) in self.tries
        tries = self.tries.setdefault(str(table), [])
        if again and await is_staged(writer, self.run_id, table, filled.oid):
            return tries[-1]  # the commit succeeded, and its answer was lost with the connection
        if filled.kind == LoadKind.FULL and (owner := self._owner(table)):
            # PostgreSQL executes index expressions and ANALYZE as the table's owner, so additions run with their rights
            await staging.give(writer, sql.SQL("TABLE"), table.staged, owner)
        finishing = Finish(
            self.run_id,
            self.snapshot.id,
            table,
            writer,
            options=self.options.of(table.source),
            carried=self.carried[table.live],
            began=self.began[str(table)],
            filled=filled,
            built=built,
            tries=tries,
            redact=self.redact,
            drift=self.drifted.get(table.live),
        )
        return await finishing.whole()

    def _owner(self, table: Table) -> str | None:
        """The role that will own the staging table; None for this session's role."""
        return self.owners.get(table.live) if self.options.of(table.source).publish != "in-place" else None

    async def _work(
        self,
        table: Table,
        step: Callable[[Pair], Awaitable[T]],
        pair: Pair | None = None,
        within: PageRange | None = None,
    ) -> T:
        """Does a step on ``pair``, or on the next free pair; tries again on new connections if that may help."""
        async with nullcontext(pair) if pair else self.schedule.turn(table.bytes) as used:
            self.began.setdefault(str(table), Began())
            self.progress.started(table)

            async def clear() -> None:
                if within is None:  # a range takes back the bytes that it has counted (``ranges.py``)
                    self.progress.restarted(table)
                await used.close()

            def say(attempt: int, error: BaseException) -> None:
                what: dict[str, Any] = {"range": str(within)} if within else {}
                log.warning("table.retried", table=str(table), attempt=attempt, error=self.redact(error), **what)

            return await retried(lambda: step(used), clear, say)


def _refuse(table: Table) -> None:
    if table.refused:
        raise LoadFailed("; ".join(table.refused))
    if table.unclassified:
        raise Unclassified(
            f"on_new_column is fail, and the options do not say what to do with {', '.join(table.unclassified)};"
            " name it in columns, exclude or mask"
        )


def _say(table: Table, load: Load) -> None:
    steps = ("rows", "bytes", "copy_seconds", "index_seconds", "analyze_seconds")
    fields = {step: getattr(load, step) for step in steps}
    if load.verify_seconds is not None:  # a metric is a number, never null
        fields["verify_seconds"] = load.verify_seconds
    fields["ranges"] = max(1, len(table.ranges))
    if load.reason is not None:
        fields |= {"load": load.load, "reason": load.reason}
    log.info("table.loaded", table=load.table_name, seconds=round(load.seconds, 3), **fields)
