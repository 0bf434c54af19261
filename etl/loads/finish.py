"""The steps of a load after the rows have been copied: indexes of a big table, side by side, and then the finish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import psycopg
from psycopg import AsyncCursor, sql

from etl.ledger import ledger
from etl.loads.way import Filled
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.catalog import Index
from etl.model.clock import Began
from etl.model.errors import IndexUnbuildable, LoadFailed
from etl.model.record import Load
from etl.model.redaction import Redacted, Redactor
from etl.model.shape import TableOptions
from etl.model.status import LoadKind, LoadStatus
from etl.model.table import Table
from etl.sessions.pair import Pair
from etl.sessions.postgres import Target
from etl.sessions.transaction import BEGIN, at_once, begun
from etl.source import definitions
from etl.target import additions, indexes, live, staging

log = get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """The indexes that were built before the finish, those that could not be built (with reasons), and the seconds."""

    names: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


async def build_index(table: Table, index: Index, options: TableOptions, pair: Pair) -> str | None:
    """Builds one index of a table whose rows are committed.

    Returns the reason if the index cannot be built and the options allow skipping it.
    """
    try:
        await indexes.build_one(await pair.writer(), table, index)
        return None
    except IndexUnbuildable as error:
        if options.unbuildable_indexes != "skip":
            raise
        return indexes.reason_of(error)


async def is_staged(writer: Target, run_id: str, table: Table, oid: int | None) -> bool:
    """Whether an earlier attempt, whose commit is in doubt, has staged a table.

    Waits until the session of that attempt has ended, because it locks the table until then. A load that copies no row
    has no such table, and is recorded again.
    """
    if oid is None:
        return False
    async with writer.transaction():
        await staging.lock(writer, table)
        return await ledger.is_staged(writer, run_id, table.live, oid)


@dataclass(frozen=True, slots=True)
class Finish:
    """Completes a filled staging table and records it as staged, in one transaction.

    ``carried`` names the indexes and constraints that the source brought to the live table at its last load; all others
    on the live table are additions of the reporting side. Statements whose results are not needed share a round trip:
    over a network, round trips are most of a tiny table's load. ``tries`` has the loads that earlier attempts were to
    record; the commit of the last may be in doubt. ``drift`` says how the columns have changed (``survey.py``).
    """

    run_id: str
    snapshot_id: str
    table: Table
    writer: Target
    options: TableOptions
    carried: frozenset[str]
    began: Began
    filled: Filled
    built: Built
    tries: list[Load]
    redact: Redactor
    drift: Redacted | None

    async def whole(self) -> Load:
        """Finishes the table; returns the load as the ledger has it."""
        if self.filled.kind != LoadKind.FULL:
            return await self._record()
        try:
            if "skip" in {self.options.unbuildable_indexes, self.options.unbuildable_checks}:
                return await self._transaction(self._build)  # each needs a savepoint, and its result
            return await self._transaction(self._build_at_once)
        except psycopg.errors.LockNotAvailable as error:
            raise LoadFailed(
                f"the live table {self.table.live} was locked for over {limits.LIVE_TABLE_LOCK_TIMEOUT}; run again when"
                " it is free"
            ) from error
        except (IndexUnbuildable, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and not indexes.is_unbuildable(error):
                raise
            return await self._transaction(self._build)  # building one by one shows which fails

    async def _record(self) -> Load:
        """Records a load of changes: their table needs neither indexes nor constraints, and has its statistics."""
        async with begun(self.writer):
            state = await at_once(self.writer, [BEGIN, self._ask_state()])
            load = self._load(0.0, 0.0)
            self.tries.append(load)
            await ledger.stage(self.writer, self.run_id, load, state)
        return load

    async def _transaction(self, build: Callable[[], Awaitable[AsyncCursor[dict[str, Any]]]]) -> Load:
        start = perf_counter()
        async with begun(self.writer):
            extras = await build()
            await self._add(await live.extras_of(extras))
            indexed = perf_counter()
            state = await at_once(self.writer, [staging.analyze(self.table), self._ask_state()])
            load = self._load(self.built.seconds + indexed - start, perf_counter() - indexed)
            self.tries.append(load)
            await ledger.stage(self.writer, self.run_id, load, state)
        return load

    async def _build_at_once(self) -> AsyncCursor[dict[str, Any]]:
        """Begins; makes the source's indexes, constraints and comments; queries the live table's extras.

        All of it is one round trip.
        """
        build = indexes.statements(self.table, self.built.names)
        return await at_once(self.writer, [BEGIN, *build, *staging.comments(self.table), self._ask_extras()])

    async def _build(self) -> AsyncCursor[dict[str, Any]]:
        """Does the same, one after the other; skips those that cannot be made if the options allow it."""
        await self.writer.execute(BEGIN)
        skips, left = self.options.unbuildable_indexes == "skip", self.table.without(self.built.skipped)
        skips_checks, checks = self.options.unbuildable_checks == "skip", {check.name for check in left.checks}
        skipped = await indexes.build(self.writer, left, self.built.names, skips=skips, skips_checks=skips_checks)
        for name, reason in (self.built.skipped | skipped).items():
            if name in checks:
                log.warning("check.skipped", table=str(self.table), check=name, error=self.redact(reason))
            else:
                log.warning("index.skipped", table=str(self.table), index=name, error=self.redact(reason))
        return await at_once(self.writer, [*staging.comments(left.without(skipped)), self._ask_extras()])

    def _ask_extras(self) -> sql.Composed:
        return live.ask_extras(self.table.live, self.table.staged.schema)

    def _ask_state(self) -> sql.Composable:
        return ledger.ask_state(self.writer, self.run_id)

    async def _add(self, extras: live.Extras) -> None:
        """Makes the additions of the reporting side that the options want; a table published in place has them already.

        An index or constraint that the source brings again, or that it brought the last time and has dropped since, is
        not an addition.
        """
        if self.options.publish == "in-place":
            return
        known = {*self.table.carried, *self.carried}
        added = additions.of(extras, known, without_indexes=self.options.without_target_indexes)
        await additions.make(self.writer, self.table.live, added)

    def _load(self, index_seconds: float, analyze_seconds: float) -> Load:
        return Load(
            table_name=str(self.table),
            schema_name=self.table.live.schema,
            relation_name=self.table.live.name,
            status=LoadStatus.STAGED,
            started_at=self.began.at,
            finished_at=self.began.now(),
            rows=self.filled.rows,
            bytes=self.filled.bytes,
            copy_seconds=round(self.filled.seconds, 3),
            index_seconds=round(index_seconds, 3),
            analyze_seconds=round(analyze_seconds, 3),
            carried=self.table.carried,
            masked=(*self.table.masked, *self.table.withheld),
            staging_oid=self.filled.oid if self.filled.kind == LoadKind.FULL else None,
            delta_oid=self.filled.oid if self.filled.kind == LoadKind.DELTA else None,
            newest_xid=self.filled.newest_xid,
            snapshot_id=self.snapshot_id,
            where_digest=self.table.where_digest,
            shrink_at_most=str(self.options.rule.shrink),
            rows_min=self.options.rule.rows_min,
            rows_changed=self.filled.changed,
            rows_deleted=self.filled.deleted,
            deleted_at_most=str(self.options.rule.deleted_at_most),
            load=self.filled.kind,
            reason=self.redact(self.filled.reason) if self.filled.reason else None,
            base=self.filled.base.dumps() if self.filled.base else None,
            base_run=self.filled.base_run,
            shape=definitions.shape(self.table, without_target_indexes=self.options.without_target_indexes),
            note=self.redact(self.options.note) if self.options.note else None,
            verify_seconds=None if self.filled.verify_seconds is None else round(self.filled.verify_seconds, 3),
            drift=self.drift,
        )
