"""The one instant of the source that a run copies.

The holder is a session that keeps one REPEATABLE READ transaction open. Before its snapshot is taken, every table of
the run is locked (ACCESS SHARE, as a SELECT does), and what the options' SQL reads beside them, because a snapshot
alone does not keep a table's past: TRUNCATE and table rewrites are not MVCC-safe (manual, 13.6), and a table truncated
after the snapshot would arrive empty. Readers, one a load, join the snapshot; each keeps its transaction only while it
reads.
"""

# docs/decisions.md, "Tables are locked before the snapshot"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import asyncpg
from asyncpg.transaction import Transaction

from etl.model import limits
from etl.model.errors import EtlError, LoadFailed, SnapshotLost, one_line
from etl.model.name import Relation
from etl.model.table import PageRange, Table
from etl.sessions.postgres import Source, close_source, connect_source, source_session
from etl.sessions.stage import Stage
from etl.sessions.url import DatabaseUrl
from etl.settings.options import Options
from etl.source import locks

# No such snapshot: invalid_parameter_value before 17, undefined_object since; and
# object_not_in_prerequisite_state where its session has just ended.
_GONE = {"22023", "42704", "55000"}


@dataclass(slots=True)
class Snapshot:
    """An exported snapshot: its id, the instant it shows, and the session that holds it, if this run does.

    ``unread`` is how many tables are still to be read; after the last one the snapshot is let go.
    """

    id: str
    at: datetime
    holder: Source | None = None
    unread: int = 0
    _holder_free: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def table_read(self) -> None:
        """Counts a table whose last row has been read, or that was given up."""
        self.unread -= 1
        if self.unread <= 0:
            await self.release()

    async def __aenter__(self) -> Snapshot:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def release(self) -> None:
        """Lets the snapshot go, and with it the source's vacuum horizon and the tables' locks."""
        if self.holder is not None:
            await close_source(self.holder)
            self.holder = None

    @asynccontextmanager
    async def reading(self, reader: Source, table: Table, within: PageRange | None = None) -> AsyncIterator[Source]:
        """Gives a session that sees ``table``, or a page range of it, as of this snapshot, as long as the block lasts.

        That is ``reader``, unless someone waits to alter the table, or what its SQL reads: a new reader would queue
        behind them, and they wait for the holder's lock, so both would wait for ever. Then it is the holder itself.
        Raises SnapshotLost when the snapshot is gone.
        """
        if await self._join(reader, table, within):
            yield reader
            await reader.execute("COMMIT")
        elif self.holder is None:
            what = "it, or a table that its options' SQL reads," if table.has_sql else "it"
            raise LoadFailed(f"{table}: somebody is altering {what} in the source; try again when they are done")
        else:
            async with self._holder_free, self.holder.transaction():
                yield self.holder

    async def _join(self, reader: Source, table: Table, within: PageRange | None) -> bool:
        join = f"{Stage.JOIN} BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self.id}'"
        selects = [table.copied(within)] if table.has_sql else []
        try:
            await reader.execute(
                f"{join}; {locks.at_once([within.member.relation if within else table.source], selects)}"
            )
        except asyncpg.LockNotAvailableError:
            await reader.execute("ROLLBACK")
            return False
        except asyncpg.PostgresError as error:
            if error.sqlstate in _GONE:
                raise SnapshotLost(f"the source's snapshot {self.id} is gone: {one_line(error)}") from error
            raise
        return True


async def take(
    url: DatabaseUrl,
    application: str,
    chosen: Sequence[Relation],
    options: Options,
    session: Source | None = None,
) -> Snapshot:
    """Locks the relations chosen and what their options' SQL reads, then takes and exports a snapshot of the source.

    Takes an idle ``session`` to hold it, which is closed with the snapshot; opens one where there is none. Raises
    EtlError when a table cannot be locked, ConfigurationError for SQL that the source does not plan.
    """
    holder = session if session and not session.is_closed() else await connect_source(url, application)
    try:
        if any(options.of(relation).has_sql for relation in chosen):
            row = await _taken_beside(url, application, holder, chosen, options)
        else:
            await _transaction(holder).start()
            await locks.wait(holder, chosen, options)
            row = await _export(holder)
        return Snapshot(row["id"], row["at"], holder, len(chosen))
    except BaseException:
        await close_source(holder)
        raise


async def _taken_beside(
    url: DatabaseUrl, application: str, holder: Source, chosen: Sequence[Relation], options: Options
) -> asyncpg.Record:
    """Has another session keep all the locks until the holder has its snapshot, and the same locks.

    The holder cannot take those of the options' SQL first, because planning it fixes the snapshot. Where somebody waits
    to alter one of the tables just then, both sessions let go, so that they can, and try again.
    """
    deadline = monotonic() + limits.SNAPSHOT_TAKE_SECONDS
    async with source_session(url, application) as other:
        while True:
            try:
                async with other.transaction():  # its commit fails where the session was lost, and the locks with it
                    tables = await locks.wait(other, chosen, options)
                    return await _taken(holder, chosen, tables)
            except asyncpg.LockNotAvailableError as error:
                if monotonic() > deadline:
                    raise EtlError(
                        f"tables of the source were being altered for over {limits.SNAPSHOT_TAKE_SECONDS:g} s:"
                        f" {one_line(error)}"
                    ) from error
            await asyncio.sleep(limits.SNAPSHOT_TAKE_PAUSE_SECONDS)


async def _taken(holder: Source, chosen: Sequence[Relation], tables: Sequence[Table]) -> asyncpg.Record:
    transaction = _transaction(holder)
    await transaction.start()
    try:
        await holder.execute(locks.at_once(chosen))
        row = await _export(holder)
        await holder.execute(locks.at_once([], [table.copied() for table in tables]))
        return row
    except asyncpg.LockNotAvailableError:
        await transaction.rollback()
        raise


def _transaction(holder: Source) -> Transaction:
    return holder.transaction(isolation="repeatable_read", readonly=True)


async def _export(holder: Source) -> asyncpg.Record:
    export = "SELECT pg_catalog.pg_export_snapshot() AS id, pg_catalog.clock_timestamp() AS at"
    row = await holder.fetchrow(f"{Stage.SNAPSHOT} {export}")
    assert row is not None
    return row
