"""How far a run is: its processes tell it in ``etl.loads``, and others watch it there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from psycopg import AsyncClientCursor, sql

from etl.ledger.book import now
from etl.ledger.looks import PastNightRow, WatchedRow
from etl.ledger.rows import UnderWay
from etl.ledger.runs import ask_state, must_run, refuse_ended
from etl.model import limits
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query
from etl.sessions.transaction import answers


async def tell(target: Target, run_id: str, snapshot_id: str, news: Sequence[UnderWay]) -> set[str]:
    """Writes how far loads are, and raises RunEnded as ``must_run`` does; both take one round trip.

    What is told may fail, and fails no load. It waits for no lock, and its commit for no flush. Returns the source's
    tables whose loads were written.
    """
    try:
        *written, state = await answers(target, [*_telling(target, run_id, news), ask_state(target, run_id)])
    except psycopg.Error:
        if target.closed or target.broken:
            raise
        await must_run(target, run_id, snapshot_id)
        return set()
    refuse_ended(run_id, snapshot_id, state)
    return {row["table_name"] for rows in written for row in rows}


def _telling(target: Target, run_id: str, news: Sequence[UnderWay]) -> Iterable[sql.Composable]:
    if not news:
        return
    told = {
        "run_id": run_id,
        "at": now(),
        "names": [one.table_name for one in news],
        "began": [one.began for one in news],
        "steps": [one.step for one in news],
        "so_far_rows": [one.rows for one in news],
        "so_far_bytes": [one.bytes for one in news],
        "expected": [one.expected for one in news],
    }
    # a text of several statements is one transaction, to whose end these settings last
    yield sql.SQL("SET LOCAL synchronous_commit = off")
    yield sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(limits.TELLING_LOCK_MS))
    yield sql.SQL(AsyncClientCursor(target).mogrify(target_query("ledger/tell"), told))


async def watched_run(target: Target, *, job: str | None) -> str | None:
    """The newest run that is running or, if none is, the newest; None if there is none.

    With a ``job``, runs of other jobs do not count.
    """
    cursor = await target.execute(target_query("ledger/watched_run"), {"job": job or ""})
    return next((row["run_id"] for row in await cursor.fetchall()), None)


async def watched(target: Target, run_id: str) -> list[WatchedRow]:
    """How far the loads of a run are, in the order in which they began."""
    return await rows(target, WatchedRow, target_query("ledger/watched"), {"run_id": run_id})


async def past_nights(target: Target, run_id: str, most: int) -> list[PastNightRow]:
    """The last published loads of a run's tables, at most ``most`` of each, the newest runs first."""
    return await rows(target, PastNightRow, target_query("ledger/past_nights"), {"run_id": run_id, "most": most})
