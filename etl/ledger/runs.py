"""Runs, in ``etl.runs``: their start, their snapshot, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncClientCursor, sql

from etl.ledger.book import now
from etl.ledger.rows import Progress, RunRow
from etl.model import limits
from etl.model.errors import RunEnded
from etl.model.redaction import Redacted
from etl.model.status import RunStatus
from etl.model.way import RunWay
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows as fetch
from etl.sessions.query import target_query
from etl.sessions.stage import Stage


async def run_of(target: Target, run_id: str) -> RunRow | None:
    """The row of a run, or None."""
    return next(iter(await runs_of(target, [run_id])), None)


async def latest_runs(target: Target, limit: int, status: str | None = None, *, job: str | None) -> list[RunRow]:
    """The newest runs, the newest first; of any status, or only of ``status``; of any job, or only of ``job``."""
    wanted = {"status": status or "", "job": job or "", "most": limit}
    return await fetch(target, RunRow, target_query("ledger/latest_runs"), wanted)


async def runs_of(target: Target, run_ids: Sequence[str]) -> list[RunRow]:
    """The rows of some runs, the newest first."""
    return await fetch(target, RunRow, target_query("ledger/runs_of"), {"run_ids": list(run_ids)})


async def open_run(target: Target, run_id: str, publish: str, job: str | None) -> None:
    """Writes that a run has begun, or that a new attempt at it has; a published run of this id gets another one."""
    begun = {"run_id": run_id, "at": now(), "publish": publish, "job": job or ""}
    client = AsyncClientCursor(target)  # because the server accepts only one statement at a time with parameters
    both = [client.mogrify(target_query(f"ledger/{name}"), begun) for name in ("set_aside", "open_run")]
    await target.execute(f"{Stage.OPEN} {'; '.join(both)}".encode())


async def join_run(target: Target, run_id: str, publish: str, job: str | None) -> None:
    """Writes that a run has begun, if the ledger does not have it yet; an existing row is not changed."""
    begun = {"run_id": run_id, "at": now(), "publish": publish, "job": job or ""}
    await target.execute(target_query("ledger/join_run"), begun)


async def took_snapshot(target: Target, run_id: str, snapshot_id: str, at: datetime) -> None:
    """Writes the id and the time of a run's snapshot."""
    taken = {"run_id": run_id, "snapshot_id": snapshot_id, "at": at}
    await target.execute(f"{Stage.TAKEN} ".encode() + target_query("ledger/took_snapshot"), taken)


async def decided(target: Target, run_id: str, way: RunWay) -> None:
    """Writes how the tables of a run become live."""
    await target.execute(target_query("ledger/decided"), {"run_id": run_id, "way": way})


async def must_run(target: Target, run_id: str, snapshot_id: str | None = None) -> None:
    """Raises RunEnded unless a run is still running, or was let pass, and has the given snapshot.

    Within a transaction, it locks the run's row, so that the run cannot end before the transaction does.
    """
    cursor = await target.execute(target_query("ledger/run_state"), {"run_id": run_id})
    refuse_ended(run_id, snapshot_id, await cursor.fetchall())


def ask_state(target: Target, run_id: str) -> sql.Composable:
    """The statement that reads and locks the state of a run, to be sent together with others; ``stage`` checks it."""
    return sql.SQL(AsyncClientCursor(target).mogrify(target_query("ledger/run_state"), {"run_id": run_id}))


def refuse_ended(run_id: str, snapshot_id: str | None, rows: Sequence[dict[str, Any]]) -> None:
    """Raises RunEnded unless the result of ``ask_state`` says that a run may go on, and has the given snapshot."""
    if not rows:
        raise RunEnded(f"run {run_id} is no longer in the ledger; somebody has deleted it; start a new run")
    status, error, current, passed_by = rows[0].values()
    is_passed = status == RunStatus.STOPPED and passed_by is not None
    if status != RunStatus.RUNNING and not is_passed:
        raise RunEnded(f"run {run_id} is {status} already{f' ({error})' if error else ''}; start a new run")
    if snapshot_id is not None and current != snapshot_id:
        raise RunEnded(f"run {run_id} has another snapshot by now, {current} instead of {snapshot_id}; start a new run")


async def note(target: Target, run_id: str, error: Redacted) -> None:
    """Writes an error into the row of a run, whose status stays as it is."""
    await target.execute(target_query("ledger/note"), {"run_id": run_id, "error": encoding.spelt(target, error)})


async def running(target: Target) -> list[str]:
    """The runs that are running according to the ledger, and whose sessions should hold their locks.

    Runs that wait for ``etl publish``, and planned runs that may still begin, are left out, because no session holds
    their locks. A run that has staged nothing within a day of its start is not left out.
    """
    before = {"before": now() - limits.PLANNED_RUN_BEGINS_WITHIN}
    cursor = await target.execute(target_query("ledger/running"), before)
    return [row["run_id"] for row in await cursor.fetchall()]


async def progress(target: Target, run_id: str) -> Progress | None:
    """How far a run is; None if it is not in the ledger."""
    rows = await fetch(target, Progress, target_query("progress"), {"run_id": run_id})
    return rows[0] if rows else None


async def let_pass(target: Target, run_id: str, reason: Redacted) -> None:
    """Writes that this session's user lets a stopped run pass, and why; the run may then be published."""
    passed = {"run_id": run_id, "reason": encoding.spelt(target, reason)}
    await target.execute(target_query("ledger/let_pass"), passed)


async def forget_kept(target: Target, run_id: str) -> None:
    """Writes that the staging tables of a stopped run are kept no longer."""
    await target.execute(target_query("ledger/forget_kept"), {"run_id": run_id})


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
    also = {RunStatus.FAILED: [RunStatus.INTERRUPTED], RunStatus.PUBLISHED: [RunStatus.STOPPED]}
    ended = {
        "run_id": run_id,
        "status": status,
        "at": now(),
        "error": error and encoding.spelt(target, error),
        "kept_until": kept_until,
        "replaceable": [RunStatus.RUNNING, *also.get(status, [])],
    }
    await target.execute(target_query("ledger/close_run"), ended)
