"""``etl report``: how a run ended: its figures, its slowest and failed tables, and the night as its page shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from etl.commands import expected, portrait
from etl.commands.accounts import FailedTable, PublishedRun, SlowTable, Watched
from etl.commands.answer import plain
from etl.commands.night import FullReport, Rebalance
from etl.commands.outcome import is_given_up
from etl.commands.portrait import Seen
from etl.commands.rebalance import rebalance
from etl.commands.watch import look
from etl.ledger import book, ledger
from etl.ledger.rows import LoadRow, RecentLoad, RunRow
from etl.model import limits
from etl.model.base import FullEvery
from etl.model.errors import refuse_empty
from etl.model.selection import named
from etl.model.status import LoadStatus, RunStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard


async def report(settings: Settings, asked: str | None, *, with_night: bool = True) -> FullReport:
    """The report on a run, from the ledger; a run that is not in the ledger counts as failed.

    By default it is the newest run. Raises ConfigurationError if there is none. ``with_night`` reads the nights before,
    too, as the page needs them.
    """
    async with target_session(settings.target, guard.application(asked or "report")) as target:
        if not await book.exists(target):
            return _report(asked or refuse_empty(settings.job), None, [], [], None)
        await book.ensure(target)
        run_id = asked or await _newest(target, settings.job)
        run = await ledger.run_of(target, run_id)
        watched = None
        if with_night and _goes_on(run):
            watched = await look(settings, run_id)
            run = await ledger.run_of(target, run_id)  # it may have ended meanwhile
        loads = await ledger.loads_of(target, [run_id])
        slowest = await _slowest(target, run_id, loads)
        job = (run.job if run else None) or settings.job
        published = await ledger.latest_runs(target, 1, RunStatus.PUBLISHED, job=job)
        last = published[0] if published else None
        waiting = [str(one) for one in await ledger.waiting(target) if one.is_needed and one.run_id == run_id]
        done = _report(run_id, run, loads, slowest, last)
        if run is None or not with_night:
            return replace(done, waiting=tuple(waiting))
        night = portrait.night(await _seen(settings, target, run, loads, last=last, watched=watched))
        is_newest = await ledger.is_newest(target, run_id)
        return replace(done, waiting=tuple(waiting), night=night, is_newest=is_newest)


def _goes_on(run: RunRow | None) -> bool:
    return run is not None and run.status == RunStatus.RUNNING


async def _newest(target: Target, job: str | None) -> str:
    runs = await ledger.latest_runs(target, 1, job=job)
    return runs[0].run_id if runs else refuse_empty(job)


async def _seen(
    settings: Settings,
    target: Target,
    run: RunRow,
    loads: Sequence[LoadRow],
    *,
    last: RunRow | None,
    watched: Watched | None,
) -> Seen:
    """What the page tells of a run: with the nights before it, what readers see, and how far it is if it goes on."""
    before = await ledger.nights_before(target, run.run_id, limits.REPORTED_PAGE_NIGHTS)
    return Seen(
        run=run,
        loads=loads,
        before=before,
        past=await ledger.past_of_tables(target, run.run_id, [night.run_id for night in before]),
        read={row.table_name: row for row in await ledger.readers_see(target, run.run_id)},
        watched=watched if _goes_on(run) else None,
        last=last,
        rebalance=await _rebalance(settings, target, loads, run.job or settings.job),
        at=book.now(),
    )


async def _rebalance(settings: Settings, target: Target, loads: Sequence[LoadRow], job: str | None) -> Rebalance | None:
    """What ``etl plan`` would change in the shards of these loads."""
    shard_of = {load.table_name: int(load.shard) for load in loads if load.shard and load.shard.isdecimal()}
    if len(set(shard_of.values())) <= 1:
        return None
    past = await ledger.past(target, list(shard_of), limits.PLANNED_BY_NIGHTS, job)
    options = {table: settings.options.of(named(table)) for table in shard_of}
    seconds = {load.table_name: _seconds(load) for load in loads if load.table_name in shard_of}
    for table, nights in past.items():
        of_table = options[table]
        told = expected.seconds(nights, of_table.load or settings.load, of_table.full_every or FullEvery())
        seconds[table] = told or seconds[table]
    together = {table: of_table.together for table, of_table in options.items() if of_table.together}
    return rebalance(shard_of, seconds, together)


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
) -> FullReport:
    # Loads that were given up because the run failed are not the cause of its failure.
    failed = [load for load in loads if load.status == LoadStatus.FAILED and not is_given_up(load, run)]
    has_ended = run is not None and run.finished_at is not None
    return FullReport(
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
    return max(float((finished - started).total_seconds()), 0.0) if started and finished else 0.0


def _cut(error: str) -> str:
    return (
        error if len(error) <= limits.REPORTED_ERROR_CHARACTERS else f"{error[: limits.REPORTED_ERROR_CHARACTERS - 1]}…"
    )
