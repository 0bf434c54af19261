"""The snapshot: the one instant of the source that a run copies.

The holder is a session that keeps one REPEATABLE READ transaction open. Before it takes its snapshot, it locks every
table of the run (ACCESS SHARE, as a SELECT does), and every table that the options' SQL reads. A snapshot alone is not
enough: TRUNCATE and table rewrites are not MVCC-safe (manual, 13.6), so a table that is truncated after the snapshot
would arrive empty. Each load has a reader, which joins the snapshot, and keeps its transaction only while it reads.
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
from etl.model.base import Seen
from etl.model.errors import EtlError, LoadFailed, SnapshotLost, one_line
from etl.model.name import Relation
from etl.model.table import PageRange, Table
from etl.sessions.postgres import Source, close_source, connect_source, source_session
from etl.sessions.stage import Stage
from etl.sessions.url import DatabaseUrl
from etl.settings.options import Options
from etl.source import locks, privileges

# No such snapshot: invalid_parameter_value before 17, undefined_object since; and
# object_not_in_prerequisite_state where its session has just ended.
_GONE = {"22023", "42704", "55000"}


@dataclass(slots=True)
class Snapshot:
    """An exported snapshot: its id, its time, and the session that holds it, unless another process does.

    ``seen`` is what it has seen, if this process has taken it. ``unread`` is the number of tables that are still to
    be read; after the last one, the snapshot is released.
    """

    id: str
    at: datetime
    holder: Source | None = None
    unread: int = 0
    seen: Seen | None = None
    _holder_free: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def table_read(self) -> None:
        """Counts one table less, because its last row has been read, or its load has failed."""
        self.unread -= 1
        if self.unread <= 0:
            await self.release()

    async def __aenter__(self) -> Snapshot:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def release(self) -> None:
        """Ends the holder's transaction, which releases the snapshot, the tables' locks and the vacuum horizon."""
        if self.holder is not None:
            await close_source(self.holder)
            self.holder = None

    @asynccontextmanager
    async def reading(self, reader: Source, table: Table, within: PageRange | None = None) -> AsyncIterator[Source]:
        """A session that reads ``table``, or a page range of it, as of this snapshot, until the block ends.

        It is ``reader``, unless another session waits to alter the table, or a table that its SQL reads. A reader would
        queue behind that session, which waits for the holder's lock: both would wait for ever. Then it is the holder.
        Raises SnapshotLost if the snapshot does not exist any more.
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

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Source]:
        """The session that holds this snapshot, for as long as the block lasts; the holder is in this process."""
        assert self.holder is not None
        async with self._holder_free:
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
    """Locks the chosen relations and all tables that their options' SQL reads, and exports a snapshot of the source.

    The holder is ``session``, which is closed with the snapshot, or a new session. Raises EtlError if a table cannot be
    locked, ConfigurationError for SQL that the source cannot plan.
    """
    holder = session if session and not session.is_closed() else await connect_source(url, application)
    try:
        if any(options.of(relation).has_sql for relation in chosen):
            row = await _taken_beside(url, application, holder, chosen, options)
        else:
            await _transaction(holder).start()
            await locks.wait(holder, chosen, options)
            row = await _export(holder)
        return Snapshot(row["id"], row["at"], holder, len(chosen), Seen.parse(row["seen"]))
    except asyncpg.InsufficientPrivilegeError as error:
        await close_source(holder)
        raise await privileges.explained(url, application, chosen, error) from error
    except BaseException:
        await close_source(holder)
        raise


async def _taken_beside(
    url: DatabaseUrl, application: str, holder: Source, chosen: Sequence[Relation], options: Options
) -> asyncpg.Record:
    """Takes all locks in a second session first, which keeps them until the holder has its snapshot and the same locks.

    The holder cannot lock the tables of the options' SQL first, because planning the SQL takes the snapshot. If another
    session waits to alter one of the tables at that moment, both sessions release their locks, and try again.
    """
    deadline = monotonic() + limits.SNAPSHOT_TAKE_SECONDS
    async with source_session(url, application) as other:
        while True:
            try:
                async with other.transaction():  # if the session and its locks were lost, the commit fails
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
    export = (
        "SELECT pg_catalog.pg_export_snapshot() AS id, pg_catalog.clock_timestamp() AS at,"
        " pg_catalog.pg_current_snapshot()::pg_catalog.text AS seen"
    )
    row: asyncpg.Record | None = await holder.fetchrow(f"{Stage.SNAPSHOT} {export}")
    assert row is not None
    return row
