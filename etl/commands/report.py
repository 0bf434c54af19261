"""``etl report``: how a run ended, for notifications: its figures, its slowest and failed tables, the published run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from etl.commands.accounts import FailedTable, PublishedRun, Report, SlowTable
from etl.commands.answer import plain
from etl.commands.outcome import is_given_up
from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow, RecentLoad, RunRow
from etl.model import limits
from etl.model.status import LoadStatus, RunStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard


async def report(settings: Settings) -> Report:
    """The report on a run, from the ledger; a run that is not in the ledger counts as failed."""
    run_id = settings.run_id
    async with target_session(settings.target, guard.application(run_id)) as target:
        if not await book.exists(target):
            return _report(run_id, None, [], [], None)
        await book.ensure(target)
        run = await ledger.run_of(target, run_id)
        loads = await ledger.loads_of(target, [run_id])
        slowest = await _slowest(target, run_id, loads)
        published = await ledger.latest_runs(target, 1, "published", job=settings.job)
        waiting = [str(one) for one in await ledger.waiting(target) if one.is_needed and one.run_id == run_id]
        done = _report(run_id, run, loads, slowest, published[0] if published else None)
        return replace(done, waiting=tuple(waiting))


async def _slowest(target: Target, run_id: str, loads: Sequence[LoadRow]) -> list[SlowTable]:
    done = [load for load in loads if load.status in {LoadStatus.STAGED, LoadStatus.PUBLISHED}]
    slow = sorted(done, key=_seconds, reverse=True)[: limits.REPORTED_SLOWEST]
    before = await ledger.recent(target, [load.table_name for load in slow], limits.REPORTED_NIGHTS, run_id)
    return [
        SlowTable(
            table=load.table_name,
            seconds=round(_seconds(load), 3),
            median_seconds=_median(before.get(load.table_name, [])),
            rows=load.rows,
        )
        for load in slow
    ]


def _median(loads: Sequence[RecentLoad]) -> float | None:
    seconds = [load.seconds for load in loads if load.seconds is not None]
    return round(median(seconds), 3) if seconds else None


def _report(
    run_id: str,
    run: RunRow | None,
    loads: Sequence[LoadRow],
    slowest: Sequence[SlowTable],
    last: RunRow | None,
) -> Report:
    # Loads that were given up because the run failed are not the cause of its failure.
    failed = [load for load in loads if load.status == LoadStatus.FAILED and not is_given_up(load, run)]
    has_ended = run is not None and run.finished_at is not None
    return Report(
        run_id=run_id,
        status=run.status if run else RunStatus.FAILED,
        snapshot_at=run.snapshot_at if run else None,
        started_at=run.started_at if run else None,
        finished_at=run.finished_at if run else None,
        seconds=round(_seconds(run), 3) if run and has_ended else None,
        tables=len(loads),
        rows=sum(load.rows or 0 for load in loads),
        bytes=sum(load.bytes or 0 for load in loads),
        slowest=tuple(slowest),
        failed=tuple(_within_room(failed[: limits.REPORTED_FAILED])),
        failed_count=len(failed),
        last_published=PublishedRun(last.run_id, last.snapshot_at) if last else None,
        error=(_cut(run.error or "") or None) if run else "the run never got as far as the ledger",
        kept_until=run.kept_until if run and run.status == RunStatus.STOPPED else None,
    )


def _within_room(failed: Sequence[LoadRow]) -> Iterator[FailedTable]:
    """The first failed tables, with their errors, as many as fit into ``FAILED_ROOM``."""
    room = limits.REPORTED_FAILED_CHARACTERS
    for load in failed:
        told = FailedTable(load.table_name, _cut(load.error or "failed"))
        room -= len(json.dumps(plain(told)))
        if room < 0:
            return
        yield told


def _seconds(row: RunRow | LoadRow) -> float:
    started, finished = row.started_at, row.finished_at
    return float((finished - started).total_seconds()) if started and finished else 0.0


def _cut(error: str) -> str:
    return (
        error if len(error) <= limits.REPORTED_ERROR_CHARACTERS else f"{error[: limits.REPORTED_ERROR_CHARACTERS - 1]}…"
    )
