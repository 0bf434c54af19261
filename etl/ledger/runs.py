"""Runs, in ``etl.runs``: their start, their snapshot, and their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from psycopg import AsyncClientCursor, sql
from sqlalchemy.dialects.postgresql import insert

from etl.ledger.book import compiled, execute, fetch, loads, now, runs
from etl.ledger.rows import Progress, RunRow
from etl.model import limits
from etl.model.errors import RunEnded
from etl.model.redaction import Redacted
from etl.model.status import LoadStatus, RunStatus
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows as fetch_rows
from etl.sessions.query import target_query
from etl.sessions.stage import Stage


async def run_of(target: Target, run_id: str) -> RunRow | None:
    """The row of a run, or None."""
    rows = await fetch(target, sa.select(runs).where(runs.c.run_id == run_id), RunRow)
    return rows[0] if rows else None


async def latest_runs(target: Target, limit: int, status: str | None = None) -> list[RunRow]:
    """The newest runs, the newest first; of any status, or only of ``status``."""
    newest = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id).limit(limit)
    return await fetch(target, newest if status is None else newest.where(runs.c.status == status), RunRow)


_SET_ASIDE = b"""
WITH earlier AS (
    UPDATE etl.runs
       SET run_id = pg_catalog.concat(pg_catalog.substr(run_id, 1, 70), '@', pg_catalog.to_char(
               coalesce(finished_at, started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
     WHERE run_id = %(run)s AND status = 'published'
    RETURNING run_id
), moved AS (
    UPDATE etl.loads l SET run_id = e.run_id FROM earlier e WHERE l.run_id = %(run)s
)
UPDATE etl.validations v SET run_id = e.run_id FROM earlier e WHERE v.run_id = %(run)s
"""
"""Gives a published run another id, which is as long as ETL_RUN_ID may be.

The same ETL_RUN_ID every night would otherwise overwrite the last publish, with which the gate compares the next one,
and in which the masks and indexes of the live tables are recorded.
"""


async def open_run(target: Target, run_id: str, publish: str) -> None:
    """Writes that a run has begun, or that a new attempt at it has; a published run of this id gets another one."""
    cleared = dict.fromkeys(["finished_at", "error", "kept_until", "passed_by", "passed_reason", "passed_error"])
    fresh = {"status": RunStatus.RUNNING, "publish": publish, **cleared}
    statement = insert(runs).prefix_with(Stage.OPEN).values(run_id=run_id, started_at=now(), **fresh)
    text, parameters = compiled(statement.on_conflict_do_update(index_elements=["run_id"], set_=fresh))
    client = AsyncClientCursor(target)
    both = client.mogrify(_SET_ASIDE, {"run": run_id}), client.mogrify(text, parameters)
    await target.execute(sql.SQL("; ").join(map(sql.SQL, both)))


async def join_run(target: Target, run_id: str, publish: str) -> None:
    """Writes that a run has begun, if the ledger does not have it yet; an existing row is not changed."""
    statement = insert(runs).values(run_id=run_id, started_at=now(), status=RunStatus.RUNNING, publish=publish)
    await execute(target, statement.on_conflict_do_nothing(index_elements=["run_id"]))


async def took_snapshot(target: Target, run_id: str, snapshot_id: str, at: datetime) -> None:
    """Writes the id and the time of a run's snapshot."""
    taken = sa.update(runs).prefix_with(Stage.TAKEN).where(runs.c.run_id == run_id)
    await execute(target, taken.values(snapshot_id=snapshot_id, snapshot_at=at))


async def must_run(target: Target, run_id: str, snapshot_id: str | None = None) -> None:
    """Raises RunEnded unless a run is still running, or was let pass, and has the given snapshot.

    Within a transaction, it locks the run's row, so that the run cannot end before the transaction does.
    """
    refuse_ended(run_id, snapshot_id, await (await target.execute(_state(), {"run": run_id})).fetchall())


def ask_state(target: Target, run_id: str) -> sql.Composable:
    """The statement that reads and locks the state of a run, to be sent together with others; ``stage`` checks it."""
    return sql.SQL(AsyncClientCursor(target).mogrify(_state(), {"run": run_id}))


def refuse_ended(run_id: str, snapshot_id: str | None, rows: Sequence[dict[str, Any]]) -> None:
    """Raises RunEnded unless the result of ``ask_state`` says that a run may go on, and has the given snapshot."""
    if not rows:
        raise RunEnded(f"run {run_id} is no longer in the ledger; somebody has deleted it")
    status, error, current, passed_by = rows[0].values()
    is_passed = status == RunStatus.STOPPED and passed_by is not None
    if status != RunStatus.RUNNING and not is_passed:
        raise RunEnded(f"run {run_id} is {status} already{f' ({error})' if error else ''}; start a new run")
    if snapshot_id is not None and current != snapshot_id:
        raise RunEnded(f"run {run_id} has another snapshot by now, {current} instead of {snapshot_id}; start a new run")


@cache
def _state() -> bytes:
    columns = runs.c.status, runs.c.error, runs.c.snapshot_id, runs.c.passed_by
    state = sa.select(*columns).where(runs.c.run_id == sa.bindparam("run"))
    return compiled(state.with_for_update(read=True))[0]


async def note(target: Target, run_id: str, error: Redacted) -> None:
    """Writes an error into the row of a run, whose status stays as it is."""
    await execute(target, sa.update(runs).where(runs.c.run_id == run_id).values(error=encoding.spelt(target, error)))


async def running(target: Target) -> list[RunRow]:
    """The runs that are running according to the ledger, and whose sessions should hold their locks.

    Runs that wait for ``etl publish``, and planned runs that may still begin, are left out, because no session holds
    their locks. A run that has staged nothing within a day of its start is not left out.
    """

    def has(status: LoadStatus) -> sa.ColumnElement[bool]:
        return sa.exists().where(loads.c.run_id == runs.c.run_id, loads.c.status == status)

    given_up = sa.and_(sa.not_(has(LoadStatus.STAGED)), runs.c.started_at < now() - limits.PLANNED_RUN_BEGINS_WITHIN)
    unfinished = sa.or_(runs.c.publish != "defer", has(LoadStatus.LOADING), given_up)
    return await fetch(target, sa.select(runs).where(runs.c.status == RunStatus.RUNNING, unfinished), RunRow)


async def progress(target: Target, run_id: str) -> Progress | None:
    """How far a run is; None if it is not in the ledger."""
    rows = await fetch_rows(target, Progress, target_query("progress"), {"run_id": run_id})
    return rows[0] if rows else None


async def let_pass(target: Target, run_id: str, reason: Redacted) -> None:
    """Writes that this session's user lets a stopped run pass, and why; the run may then be published."""
    stopped = sa.update(runs).where(runs.c.run_id == run_id, runs.c.status == RunStatus.STOPPED)
    spelt = encoding.spelt(target, reason)
    passed = {"passed_by": sa.text("session_user"), "passed_reason": spelt, "passed_error": runs.c.error}
    await execute(target, stopped.values(passed))


async def forget_kept(target: Target, run_id: str) -> None:
    """Writes that the staging tables of a stopped run are kept no longer."""
    await execute(target, sa.update(runs).where(runs.c.run_id == run_id).values(kept_until=None))


async def close_run(
    target: Target,
    run_id: str,
    status: RunStatus,
    error: Redacted | None = None,
    *,
    kept_until: datetime | None = None,
) -> None:
    """Writes the status of a run that has ended, with the sums over its loads.

    ``kept_until`` is how long the staging tables of a stopped run are kept.

    The first end of a run counts: a connection may be lost after the commit of a publish, and the error of a shard that
    was stopped because the run had failed is not the cause. But a failure replaces an interruption, because it has the
    cause, and a run that was stopped may have been let pass, and published.
    """
    of_run = loads.c.run_id == run_id
    sums: Mapping[str, Any] = {
        "tables": sa.select(sa.func.count()).select_from(loads).where(of_run).scalar_subquery(),
        "rows": sa.select(sa.func.sum(loads.c.rows)).where(of_run).scalar_subquery(),
        "bytes": sa.select(sa.func.sum(loads.c.bytes)).where(of_run).scalar_subquery(),
    }
    also = {RunStatus.FAILED: [RunStatus.INTERRUPTED], RunStatus.PUBLISHED: [RunStatus.STOPPED]}
    replaceable = [RunStatus.RUNNING, *also.get(status, [])]
    statement = sa.update(runs).where(runs.c.run_id == run_id, runs.c.status.in_(replaceable))
    spelt = error and encoding.spelt(target, error)
    ended = {"status": status, "finished_at": now(), "error": spelt, "kept_until": kept_until}
    await execute(target, statement.values(**ended, **sums))
