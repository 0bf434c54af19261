"""Transactions on the target whose statements share round trips: for a tiny table, round trips take most of the time.

psycopg's ``transaction()`` sends BEGIN and COMMIT in separate round trips, and its pipeline passes through the event
loop at each statement. With them, the client waits 22 times for each table; with several statements in one text, 9
times (benchmarks/NOTES.md, "Tiny tables").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncCursor, sql

from etl.sessions.postgres import Target

BEGIN, COMMIT = sql.SQL("BEGIN"), sql.SQL("COMMIT")
"""Statements for ``at_once``, within a block of ``begun``."""


async def at_once(target: Target, statements: Iterable[sql.Composable]) -> AsyncCursor[dict[str, Any]]:
    """Executes statements in one round trip, and returns a cursor on the result of the last statement.

    The statements are sent as one text. The server executes it as one transaction, unless a transaction is open already
    or the text contains BEGIN or COMMIT (manual, "Multiple Statements in a Simple Query").
    """
    cursor = await target.execute(sql.SQL("; ").join(statements))
    while cursor.nextset():
        pass
    return cursor


async def answers(target: Target, queries: Iterable[sql.Composable]) -> list[list[dict[str, Any]]]:
    """Executes statements as ``at_once`` does, and returns the rows of each statement that returns rows."""
    cursor, found = await target.execute(sql.SQL("; ").join(queries)), []
    while True:
        if cursor.description is not None:
            found.append(await cursor.fetchall())
        if not cursor.nextset():
            return found


@asynccontextmanager
async def begun(target: Target) -> AsyncIterator[None]:
    """Rolls back the transaction of the block if the block fails. The block itself sends BEGIN and COMMIT."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):  # if the session was lost, the server has rolled back its transaction
            await target.rollback()
        raise
