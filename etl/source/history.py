"""The history in which a session of the source reads, so that the next night can tell whether it is still the same."""

from __future__ import annotations

import asyncio

import asyncpg

from etl.model import limits
from etl.model.base import History
from etl.model.transient import is_transient
from etl.sessions.postgres import Source
from etl.sessions.query import source_query

UNKNOWN = "the source does not tell its history, or has not flushed it"

_FLUSHED = "SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_catalog.text::pg_catalog.pg_lsn"


async def read(source: Source) -> History | None:
    """Reads the history, and waits until all WAL up to now is flushed: only then does a crash not change it.

    To be called after the snapshot was taken, in a session without a transaction. Returns None if the server does not
    say, because the role may not ask or the service does not offer the functions, or if it does not flush in time.
    """
    history = await look(source)
    try:
        return history if history and (history.in_recovery or await _flushed(source, history.written)) else None
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        return None


async def look(source: Source) -> History | None:
    """The history as it is now, flushed or not; None if the server does not say."""
    try:
        row = await source.fetchrow(source_query("history"))
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        return None
    assert row is not None
    return History(**dict(row))


async def _flushed(source: Source, written: str) -> bool:
    """Whether the WAL is flushed up to there, now or soon.

    The WAL writer flushes whole pages, and the commits of transactions that have an id. What a query has written by
    pruning a page may wait for either, so a transaction gets an id and ends.
    """
    if await source.fetchval(_FLUSHED, written):
        return True
    await source.execute("SELECT pg_catalog.pg_current_xact_id()")
    pauses = int(limits.SOURCE_FLUSH_SECONDS / limits.SOURCE_FLUSH_PAUSE_SECONDS)
    for _ in range(pauses):
        if await source.fetchval(_FLUSHED, written):
            return True
        await asyncio.sleep(limits.SOURCE_FLUSH_PAUSE_SECONDS)
    return False
