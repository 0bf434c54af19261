"""The one instant of the source that a run copies.

The holder is a session that keeps one REPEATABLE READ transaction open. Before its snapshot is taken it locks
every table of the run (ACCESS SHARE, as a SELECT does), because a snapshot alone does not keep a table's past:
TRUNCATE and table rewrites are not MVCC-safe (manual, 13.6), and a table truncated after the snapshot would
arrive empty. Readers, one a load, join the snapshot; each keeps its transaction only while it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import asyncpg
from psycopg import sql

from etl.catalog import Table
from etl.errors import EtlError, LoadFailed, SnapshotLost, one_line
from etl.postgres import Source, close_source, connect_source
from etl.query import text
from etl.selection import Relation
from etl.url import DatabaseUrl

LOCK_TIMEOUT = "60s"
"""How long the holder waits for a table that is being altered; longer, and it would hold up others."""

SHARE_SECONDS = 10.0
"""How long a shard waits for a table that is being altered: careful migrations give way by themselves."""

PAUSE = 0.5
"""Seconds between two tries."""

# No such snapshot: invalid_parameter_value before 17, undefined_object since; and
# object_not_in_prerequisite_state where its session has just ended.
_GONE = {"22023", "42704", "55000"}

_LOCKABLE = frozenset("rpv")  # LOCK TABLE takes neither materialized views nor foreign tables


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

    async def release(self) -> None:
        """Lets the snapshot go, and with it the source's vacuum horizon and the tables' locks."""
        if self.holder is not None:
            await close_source(self.holder)
            self.holder = None

    @asynccontextmanager
    async def reading(self, reader: Source, relation: Relation | Table) -> AsyncIterator[Source]:
        """Gives a session that sees ``relation`` as of this snapshot, for as long as the block lasts.

        That is ``reader``, unless someone waits to alter the table: a new reader would queue behind them,
        and they wait for the holder's lock, so both would wait for ever. Then it is the holder itself.
        Raises SnapshotLost when the snapshot is gone.
        """
        if await self._join(reader, relation):
            yield reader
            await reader.execute("COMMIT")
        elif self.holder is None:
            raise LoadFailed(f"{relation}: somebody is altering it in the source; try again when they are done")
        else:
            async with self._holder_free, self.holder.transaction():
                yield self.holder

    async def _join(self, reader: Source, relation: Relation | Table) -> bool:
        join = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self.id}'"
        try:
            await reader.execute(f"{join}; {_lock([relation], nowait=True)}")
        except asyncpg.LockNotAvailableError:
            await reader.execute("ROLLBACK")
            return False
        except asyncpg.PostgresError as error:
            if error.sqlstate in _GONE:
                raise SnapshotLost(f"the source's snapshot {self.id} is gone: {one_line(error)}") from error
            raise
        return True


async def take(
    url: DatabaseUrl, application: str, chosen: Sequence[Relation], session: Source | None = None
) -> Snapshot:
    """Locks the relations chosen, then takes and exports a snapshot of the source.

    Takes an idle ``session`` to hold it, which is closed with the snapshot; opens one where there is none. Raises
    EtlError when a table cannot be locked.
    """
    holder = session if session and not session.is_closed() else await connect_source(url, application)
    try:
        await holder.transaction(isolation="repeatable_read", readonly=True).start()
        await _lock_all(holder, chosen)
        row = await holder.fetchrow("SELECT pg_catalog.pg_export_snapshot() AS id, pg_catalog.clock_timestamp() AS at")
        assert row is not None
        return Snapshot(row["id"], row["at"], holder, len(chosen))
    except BaseException:
        await close_source(holder)
        raise


@asynccontextmanager
async def sharing(source: Source, chosen: Sequence[Relation]) -> AsyncIterator[None]:
    """Keeps a lock on the relations chosen, beside that of a holder in another process, for as long as the block lasts.

    Raises LoadFailed when somebody waits to alter one of them: they wait for the holder, and who queued behind them
    would wait until the holder has lost its patience.
    """
    transaction = source.transaction()
    deadline = monotonic() + SHARE_SECONDS
    while True:
        await transaction.start()
        try:
            await source.execute(_lock(chosen, nowait=True) or "SELECT")
            break
        except asyncpg.LockNotAvailableError as error:
            await transaction.rollback()
            if monotonic() > deadline:
                what = "somebody is altering it in the source; try again when they are done"
                raise LoadFailed(f"{one_line(error)}: {what}") from error
        transaction = source.transaction()
        await asyncio.sleep(PAUSE)
    try:
        yield
    finally:
        await transaction.rollback()  # it has only read


async def _lock_all(holder: Source, chosen: Sequence[Relation]) -> None:
    if statement := _lock(chosen):
        try:
            await holder.execute(
                f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {statement}; SET LOCAL lock_timeout = '0'"
            )
        except asyncpg.LockNotAvailableError as error:
            raise EtlError(f"a table was locked in the source for over {LOCK_TIMEOUT}: {one_line(error)}") from error


def _lock(chosen: Sequence[Relation | Table], *, nowait: bool = False) -> str:
    names = [sql.Identifier(relation.schema, relation.name) for relation in chosen if relation.kind in _LOCKABLE]
    if not names:
        return ""
    suffix = sql.SQL(" NOWAIT" if nowait else "")
    return text(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE{}").format(sql.SQL(", ").join(names), suffix))
