"""The locks that keep the source's tables as a snapshot sees them: ACCESS SHARE, which every SELECT takes.

Two statements take them. LOCK TABLE needs no snapshot, so that one can be taken afterwards; but it takes only tables
that are named, and that the role may read. EXPLAIN of a SELECT takes all that the SELECT reads, be it behind views; but
it fixes its transaction's snapshot first. ``snapshot.take`` needs both.
"""

# docs/decisions.md, "Tables are locked before the snapshot"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
from psycopg import sql

from etl.model import limits
from etl.model.errors import ConfigurationError, EtlError, LoadFailed, one_line
from etl.model.name import Relation
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query, text
from etl.sessions.stage import Stage
from etl.settings.options import Options
from etl.source import catalog, proof

_LOCKABLE = frozenset("rpv")  # LOCK TABLE takes neither materialized views nor foreign tables


def at_once(relations: Iterable[Relation], selects: Iterable[sql.Composable] = ()) -> str:
    """Gives statements that lock the relations, and all that the SELECTs read, without waiting for anybody.

    They fail with LockNotAvailableError where somebody has, or waits for, a lock that does not go with it. The SELECTs
    have been proven; their last line may be a comment.
    """
    statements = [_lock(relations, nowait=True)]
    if planned := [f"EXPLAIN {text(select)}\n" for select in selects]:
        statements += [
            f"SET LOCAL lock_timeout = '{limits.EXPLAIN_LOCK_TIMEOUT}'",
            *planned,
            "SET LOCAL lock_timeout = '0'",
        ]
    return "; ".join(filter(None, statements)) or "SELECT"


async def wait(session: Source, chosen: Sequence[Relation], options: Options) -> list[Table]:
    """Locks the relations chosen and all that their options' SQL reads; gives those that have any, as it has them.

    Fixes the transaction's snapshot only where there is such SQL. Raises EtlError when somebody keeps a table for too
    long, ConfigurationError for options that cannot be.
    """
    if statement := _lock(chosen):
        try:
            await session.execute(
                f"{Stage.LOCK} SET LOCAL lock_timeout = '{limits.SOURCE_LOCK_TIMEOUT}'; {statement};"
                " SET LOCAL lock_timeout = '0'"
            )
        except asyncpg.LockNotAvailableError as error:
            raise EtlError(
                f"a table was locked in the source for over {limits.SOURCE_LOCK_TIMEOUT}: {one_line(error)}"
            ) from error
    with_sql = [relation for relation in chosen if options.of(relation).has_sql]
    if not with_sql:
        return []
    tables = [table for table in options.apply(await catalog.tables(session, with_sql)) if table.has_sql]
    await proof.prove(session, tables, limits.SOURCE_LOCK_TIMEOUT)
    return tables


@asynccontextmanager
async def sharing(source: Source, chosen: Sequence[Relation]) -> AsyncIterator[None]:
    """Keeps a lock on the relations chosen, beside that of a holder in another process, for as long as the block lasts.

    Raises LoadFailed when somebody waits to alter one of them: they wait for the holder, and who queued behind them
    would wait until the holder has lost its patience.
    """
    transaction = source.transaction()
    deadline = monotonic() + limits.SHARED_LOCK_SECONDS
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
        await asyncio.sleep(limits.SHARED_LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        await transaction.rollback()  # it has only read


async def share_read(source: Source, tables: Sequence[Table], snapshot_id: str) -> None:
    """Locks what the tables' SQL reads, too, within ``sharing``, beside the holder of a snapshot.

    Raises LoadFailed when somebody waits to alter some of it, ConfigurationError when the holder has not locked it,
    because it was given other options.
    """
    if not any(table.has_sql for table in tables):
        return
    await proof.prove(source, tables, f"{limits.SHARED_LOCK_SECONDS}s")
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
