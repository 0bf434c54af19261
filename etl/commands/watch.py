"""``etl watch``: how far a run is, seen from outside: from the ledger, and the lock of its processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from time import perf_counter

from etl.commands import outcome, remaining
from etl.commands.accounts import FailedTable, Watched, WatchedLoad
from etl.commands.history import alive
from etl.commands.outcome import Outcome
from etl.commands.remaining import Left, Night, Now, Past
from etl.ledger import book, ledger
from etl.ledger.looks import PastNightRow, WatchedRow
from etl.ledger.rows import RunRow
from etl.model import limits
from etl.model.errors import ConfigurationError, refuse_empty, refuse_unknown
from etl.model.status import LoadStatus, RunStatus
from etl.sessions.postgres import Target, target_session
from etl.settings.settings import Settings
from etl.target import guard

DEAD = "dead"
"""The status of a run that is running according to the ledger, and whose processes are gone."""


async def look(settings: Settings, run_id: str | None) -> Watched:
    """How far a run is now, by default the newest that is running; raises ConfigurationError if there is none."""
    async for seen in follow(settings, run_id):
        return seen
    raise AssertionError("a run that is watched is seen at least once")


async def follow(settings: Settings, run_id: str | None) -> AsyncIterator[Watched]:
    """How far a run is, again and again until it has ended; raises ConfigurationError if there is none."""
    async with target_session(settings.target, guard.application("watch")) as target:
        if not await book.exists(target):
            raise ConfigurationError("the target has no ledger yet, so there is no run to watch; start one: `etl run`")
        await book.ensure(target)
        watch = await _Watch.of(target, run_id, settings.job)
        while True:
            began = perf_counter()
            yield (seen := await watch.seen())
            if seen.status != RunStatus.RUNNING:
                return
            # a run of very many tables is looked at less often, so that the looks take little of the server's time
            await asyncio.sleep(max(limits.RUN_WATCH_SECONDS, limits.WATCH_REST * (perf_counter() - began)))


@dataclass(frozen=True, slots=True)
class _Watch:
    """A run that is watched, and the earlier nights of its tables, the newest first."""

    target: Target
    run_id: str
    nights: Sequence[Night]

    @classmethod
    async def of(cls, target: Target, run_id: str | None, job: str | None) -> _Watch:
        chosen = run_id or await ledger.watched_run(target, job=job)
        if chosen is None or await ledger.run_of(target, chosen) is None:
            if run_id:
                refuse_unknown(run_id)
            refuse_empty(job)
        return cls(target, chosen, _nights(await ledger.past_nights(target, chosen, remaining.NIGHTS)))

    async def seen(self) -> Watched:
        run = await ledger.run_of(self.target, self.run_id)
        if run is None:
            raise ConfigurationError(
                f"run {self.run_id} is no longer in the ledger; somebody has deleted it; start a new run"
            )
        loads = await ledger.watched(self.target, self.run_id)
        lives = (await alive(self.target, [run])).get(run.run_id, True)
        is_dead = not lives and run.run_id in await ledger.running(self.target)
        return _seen(run, loads, self.nights, book.now(), is_alive=lives, is_dead=is_dead)


def _nights(rows: Iterable[PastNightRow]) -> list[Night]:
    nights = []
    for _, found in groupby(rows, key=lambda row: row.run_id):
        some = list(found)
        pasts = tuple(map(_past, some))
        ended = some[0].run_finished_at.timestamp()
        nights.append(Night(some[0].way, some[0].run_started_at.timestamp(), ended, pasts))
    return nights


def _past(row: PastNightRow) -> Past:
    """A load; one that has found no change is of the kind of those that copy changes: nobody knows it before."""
    kind = "full" if row.load == "full" else "delta"
    times = row.started_at.timestamp(), row.finished_at.timestamp()
    return Past(row.table_name, row.shard, kind, *times, row.rows_changed or 0, row.merge_seconds or 0.0)


def _seen(
    run: RunRow,
    loads: Sequence[WatchedRow],
    nights: Sequence[Night],
    at: datetime,
    *,
    is_alive: bool,
    is_dead: bool,
) -> Watched:
    outcomes = {load.table_name: outcome.of(load, run) for load in loads}
    of = {kind: [load for load in loads if outcomes[load.table_name] == kind] for kind in Outcome}
    is_over = run.status != RunStatus.RUNNING or is_dead
    left = None if is_over or not is_alive else _left(run, loads, outcomes, nights, at)
    ended = run.finished_at or at
    return Watched(
        run_id=run.run_id,
        status=DEAD if is_dead else run.status,
        at=at,
        phase=phase(run, of, is_over=is_over, is_alive=is_alive),
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds=round((ended - run.started_at).total_seconds(), 1),
        tables=len(loads),
        staged=len(of[Outcome.STAGED]) + len(of[Outcome.PUBLISHED]),
        waiting=len(of[Outcome.WAITING]) + len(of[Outcome.PLANNED]),
        failed=len(of[Outcome.FAILED]),
        rows=sum(_so_far(load.rows, load.rows_so_far, outcomes[load.table_name]) for load in loads),
        bytes=sum(_so_far(load.bytes, load.bytes_so_far, outcomes[load.table_name]) for load in loads),
        loading=() if is_over else tuple(_loading(load, at) for load in of[Outcome.LOADING]),
        failures=tuple(FailedTable(load.table_name, load.error or "failed") for load in of[Outcome.FAILED]),
        expected_seconds=None if left is None else round(left.seconds, 1),
        expected_at=None if left is None else at + timedelta(seconds=left.seconds),
        without_history=0 if left is None else left.unknown,
        told_at=max((load.told_at for load in loads if load.told_at), default=None),
        error=run.error,
    )


def _so_far(whole: int | None, so_far: int | None, what: Outcome) -> int:
    return (so_far if what == Outcome.LOADING else whole) or 0


def phase(run: RunRow, of: Mapping[Outcome, Sequence[WatchedRow]], *, is_over: bool, is_alive: bool) -> str:
    """What a run is busy with; ``of`` are its loads by what has become of each."""
    if is_over:
        return "ended"
    tables = sum(map(len, of.values()))
    if of[Outcome.PLANNED] and not is_alive and tables == len(of[Outcome.PLANNED]):
        return "planned"
    if not tables or len(of[Outcome.STAGED]) + len(of[Outcome.PUBLISHED]) < tables:
        return "loading"  # also if one has failed: the run goes on, and another try of its shard may stage it
    return "publishing" if run.publish != "defer" or is_alive else "staged"


def _left(
    run: RunRow,
    loads: Sequence[WatchedRow],
    outcomes: dict[str, Outcome],
    nights: Sequence[Night],
    at: datetime,
) -> Left | None:
    now = [_now(load, outcomes[load.table_name]) for load in loads]
    return remaining.left(now, nights, at.timestamp(), run.publish_way)


def _now(load: WatchedRow, what: Outcome) -> Now:
    if what in {Outcome.WAITING, Outcome.PLANNED} or load.started_at is None:
        return Now(load.table_name, load.shard)
    ended = load.finished_at.timestamp() if load.finished_at and load.status != LoadStatus.LOADING else None
    if what == Outcome.FAILED and ended is None:
        ended = load.started_at.timestamp()
    merged = load.rows_changed or 0 if ended is not None else None
    return Now(load.table_name, load.shard, load.started_at.timestamp(), ended, merged)


def _loading(load: WatchedRow, at: datetime) -> WatchedLoad:
    assert load.started_at is not None
    share = (load.bytes_so_far or 0) / max(load.bytes_expected or 1, 1)
    return WatchedLoad(
        table=load.table_name,
        step=load.step or "rows",
        seconds=round(max((at - load.started_at).total_seconds(), 0.0), 1),
        rows=load.rows_so_far,
        bytes=load.bytes_so_far,
        share=round(min(share, 1.0), 3),
    )
