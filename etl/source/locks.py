"""The locks that keep the source's tables as a snapshot sees them: ACCESS SHARE, which every SELECT takes.

Two statements take these locks. LOCK TABLE needs no snapshot, so that the snapshot can be taken after it; but it locks
only the tables that it names, and the role needs SELECT on each. EXPLAIN of a SELECT locks all tables that the SELECT
reads, those of views, too; but it takes the transaction's snapshot first. ``snapshot.take`` needs both.
"""

# docs/decisions.md, "Tables are locked before the snapshot"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
from psycopg import sql

from etl.model.errors import ConfigurationError, EtlError, LoadFailed, one_line
from etl.model.name import Relation
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query, text
from etl.sessions.stage import Stage
from etl.settings.options import Options
from etl.source import catalog, proof

LOCK_TIMEOUT = "60s"
"""How long the holder waits for a table that another session alters: later sessions queue behind the holder."""

AT_ONCE = "100ms"
"""How long EXPLAIN, which has no NOWAIT, may wait for a lock: short beside a table's load."""

SHARE_SECONDS = 10
"""How long a shard waits for a table that another session alters: migrations with a lock_timeout end by then."""

PAUSE = 0.5
"""Seconds between two attempts."""

_LOCKABLE = frozenset("rpv")  # LOCK TABLE takes neither materialized views nor foreign tables


def at_once(relations: Iterable[Relation], selects: Iterable[sql.Composable] = ()) -> str:
    """The statements that lock the relations, and all tables that the SELECTs read, without waiting.

    They fail with LockNotAvailableError if another session holds, or waits for, a conflicting lock. ``proof.prove`` has
    planned the SELECTs before; their last line may be a comment.
    """
    statements = [_lock(relations, nowait=True)]
    if planned := [f"EXPLAIN {text(select)}\n" for select in selects]:
        statements += [f"SET LOCAL lock_timeout = '{AT_ONCE}'", *planned, "SET LOCAL lock_timeout = '0'"]
    return "; ".join(filter(None, statements)) or "SELECT"


async def wait(session: Source, chosen: Sequence[Relation], options: Options) -> list[Table]:
    """Locks the chosen relations and all tables that their options' SQL reads; returns the tables with such SQL.

    Takes the transaction's snapshot only if there is such SQL. Raises EtlError if another session keeps a table locked
    for too long, ConfigurationError for SQL that cannot be planned.
    """
    if statement := _lock(chosen):
        try:
            await session.execute(
                f"{Stage.LOCK} SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {statement}; SET LOCAL lock_timeout = '0'"
            )
        except asyncpg.LockNotAvailableError as error:
            raise EtlError(f"a table was locked in the source for over {LOCK_TIMEOUT}: {one_line(error)}") from error
    with_sql = [relation for relation in chosen if options.of(relation).has_sql]
    if not with_sql:
        return []
    tables = [table for table in options.apply(await catalog.tables(session, with_sql)) if table.has_sql]
    await proof.prove(session, tables, LOCK_TIMEOUT)
    return tables


@asynccontextmanager
async def sharing(source: Source, chosen: Sequence[Relation]) -> AsyncIterator[None]:
    """Locks the chosen relations, which a holder in another process has locked, too, until the block ends.

    Raises LoadFailed if another session waits to alter one of them. That session waits for the holder's lock, and a
    reader that queued behind it would wait as long.
    """
    transaction = source.transaction()
    deadline = monotonic() + SHARE_SECONDS
    while True:
        await transaction.start()
        try:
            await source.execute(at_once(chosen))
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


async def share_read(source: Source, tables: Sequence[Table], snapshot_id: str) -> None:
    """Locks all tables that the SQL of ``tables`` reads, within ``sharing``; the holder has to have locked them, too.

    Raises LoadFailed if another session waits to alter one of them, ConfigurationError if the holder, which then has
    other options, has not locked one.
    """
    if not any(table.has_sql for table in tables):
        return
    await proof.prove(source, tables, f"{SHARE_SECONDS}s")
    if unheld := [row["name"] for row in await source.fetch(source_query("unheld"), snapshot_id)]:
        raise ConfigurationError(
            f"the options' SQL reads {', '.join(unheld)}, which the snapshot's holder has not locked; give `etl"
            " snapshot` the same options as the shards"
        )


def _lock(relations: Iterable[Relation], *, nowait: bool = False) -> str:
    names = [relation.identifier for relation in relations if relation.kind in _LOCKABLE]
    if not names:
        return ""
    suffix = sql.SQL(" NOWAIT" if nowait else "")
    return text(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE{}").format(sql.SQL(", ").join(names), suffix))
