"""Transactions on the target whose statements share round trips, which is what a tiny table costs.

psycopg's own ``transaction()`` sends BEGIN and COMMIT by themselves, and its pipeline sends each statement through the
event loop: 22 waits of the client a table, where one text each takes 9 (benchmarks/NOTES.md, "Tiny tables").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncCursor, sql

from etl.sessions.postgres import Target

BEGIN, COMMIT = sql.SQL("BEGIN"), sql.SQL("COMMIT")
"""For ``at_once``, within ``begun``."""


async def at_once(target: Target, statements: Iterable[sql.Composable]) -> AsyncCursor[dict[str, Any]]:
    """Executes statements in one round trip; gives a cursor on the answer to the last.

    As one text, which is one transaction unless the caller's is open or the statements say otherwise (manual, "Multiple
    Statements in a Simple Query").
    """
    cursor = await target.execute(sql.SQL("; ").join(statements))
    while cursor.nextset():
        pass
    return cursor


@asynccontextmanager
async def begun(target: Target) -> AsyncIterator[None]:
    """Rolls back what the block has begun when it fails; BEGIN and COMMIT it sends itself, beside other statements."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):  # a lost session's transaction has gone with it
            await target.rollback()
        raise
