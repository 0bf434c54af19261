"""One night as data, from the ledger's rows. Pure policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from etl.commands import outcome, sentence
from etl.commands.accounts import Watched
from etl.commands.night import Night, NightShard, NightTable, Past, PastNight, Rebalance, Steps
from etl.commands.outcome import Outcome
from etl.commands.slowness import slow
from etl.commands.usual import is_slower, usual
from etl.ledger.looks import PastLoadRow, SeenRow
from etl.ledger.rows import LoadRow, RunRow
from etl.model.status import LoadKind, LoadStatus, LoadStep, RunStatus

_ARRIVED = {Outcome.STAGED, Outcome.PUBLISHED, Outcome.DROPPED}
"""What has become of a load that was staged."""

_ALIKE = 3
"""So many loads of the same kind tell how long the next one takes; with fewer, those of all kinds do."""


@dataclass(frozen=True)
class Seen:
    """What was read of a run and the nights before it, the newest first; ``past`` are their loads of its tables.

    ``watched`` is how far a run is that has not ended. ``read`` is what readers saw in each live table, ``last`` the
    run that was published last. ``at`` is when all of that was read.
    """

    run: RunRow
    loads: Sequence[LoadRow]
    before: Sequence[RunRow]
    past: Sequence[PastLoadRow]
    read: Mapping[str, SeenRow]
    watched: Watched | None
    last: RunRow | None
    rebalance: Rebalance | None
    at: datetime

    @cached_property
    def past_of(self) -> Mapping[str, Mapping[str, PastLoadRow]]:
        """The loads of the nights before, by table and run."""
        found: dict[str, dict[str, PastLoadRow]] = {}
        for load in self.past:
            found.setdefault(load.table_name, {})[load.run_id] = load
        return found

    @cached_property
    def past_by_run(self) -> Mapping[str, Sequence[PastLoadRow]]:
        """The loads of the nights before, by run."""
        found: dict[str, list[PastLoadRow]] = {}
        for load in self.past:
            found.setdefault(load.run_id, []).append(load)
        return found

    @cached_property
    def nights(self) -> Sequence[str]:
        """The nights before, the oldest first."""
        return [run.run_id for run in reversed(self.before)]

    @cached_property
    def decided_at(self) -> datetime | None:
        """When the last of several tables was staged, for which the publish waited; None until all are."""
        arrived = {LoadStatus.STAGED, LoadStatus.PUBLISHED}
        ends = [load.finished_at for load in self.loads if load.status in arrived and load.finished_at]
        return max(ends) if len(ends) == len(self.loads) > 1 else None

    @cached_property
    def until(self) -> datetime:
        """When the run ended, or until when it has gone on: the last sign of it, if its processes are gone."""
        if self.run.finished_at is not None:
            return self.run.finished_at
        if self.watched is None or self.watched.status != sentence.DEAD:
            return self.at
        ends = [load.finished_at for load in self.loads if load.finished_at]
        return max([self.run.started_at, *ends, *([self.watched.told_at] if self.watched.told_at else [])])

    @property
    def is_superseded(self) -> bool:
        """Whether a later run has published since what readers saw when this one had ended."""
        if self.loads:
            return any(one.is_past for one in self.read.values())
        last = self.last
        return last is not None and last.job == self.run.job and last.started_at > self.run.started_at


def night(seen: Seen) -> Night:
    """The night as the page has it."""
    tables = sorted((_table(load, seen) for load in seen.loads), key=_order)
    ends = [one.finished_at for one in tables if one.finished_at] if all(map(_is_staged, tables)) else []
    staged_at = max(ends, default=None)
    published = seen.run.status == RunStatus.PUBLISHED
    published_before = [_seconds(run) for run in seen.before if run.status == RunStatus.PUBLISHED]
    took = [seconds for seconds in published_before if seconds is not None]
    told = sentence.Told(
        seen.run, seen.before, seen.watched, usual(took), tables, seen.at, is_superseded=seen.is_superseded
    )
    return Night(
        sentence=str(told),
        state=told.state,
        at=seen.at,
        job=seen.run.job,
        publish_way=seen.run.publish_way,
        staged_at=staged_at,
        publish_seconds=_between(staged_at, seen.run.finished_at) if published else None,
        is_published_apart=published and (seen.run.publish == "defer" or seen.run.passed_by is not None),
        is_superseded=seen.is_superseded,
        usual=told.usual,
        expected_at=seen.watched.expected_at if seen.watched else None,
        slower=sum(table.is_slower for table in tables),
        tables=tuple(tables),
        shards=_shards(tables),
        rebalance=seen.rebalance,
        before=tuple(_past_night(run, seen) for run in reversed(seen.before)),
        tonight=_tonight(tables, seen, told.state),
        error=seen.run.error,
    )


def _order(table: NightTable) -> tuple[bool, float, str]:
    """Failed tables first, and then the longest loads."""
    return table.outcome != Outcome.FAILED, -(table.seconds or 0.0), table.table


def _table(load: LoadRow, seen: Seen) -> NightTable:
    what = outcome.of(load, seen.run)
    seconds = _seconds_of(load, what, seen)
    is_partial = _is_partial(load, what)
    before = [past for run in seen.nights if (past := seen.past_of.get(load.table_name, {}).get(run))]
    told = usual(_alike(load.load, before))
    arrived = what in _ARRIVED
    since, slow_before, slow_after = _slow(load, seconds, before) if arrived else (None, None, None)
    return NightTable(
        table=load.table_name,
        shard=load.shard,
        outcome=what,
        load=load.load or (LoadKind.FULL if arrived else None),
        reason=load.reason,
        rows=load.rows_so_far if is_partial else load.rows,
        changed=_changed(load) if arrived else None,
        bytes=load.bytes_so_far if is_partial else load.bytes,
        started_at=load.started_at if _has_begun(load, what) else None,
        finished_at=None if what == Outcome.LOADING else load.finished_at,
        seconds=seconds,
        steps=_steps(load, what, seconds, seen.run),
        usual=told,
        is_slower=arrived and is_slower(seconds, told),
        slow_since=since,
        slow_before=slow_before,
        slow_after=slow_after,
        is_decisive=seen.decided_at is not None and load.finished_at == seen.decided_at,
        as_of=read.snapshot_at if (read := seen.read.get(load.table_name)) else None,
        drift=load.drift,
        note=load.note,
        error=load.error if what == Outcome.FAILED else None,
        past=_past(load.table_name, seen),
    )


def _has_begun(load: LoadRow, what: Outcome) -> bool:
    """Whether a load is known to have begun: until it tells of itself, the ledger has its run's beginning there."""
    is_unheard = what == Outcome.GIVEN_UP and load.told_at is None
    return not is_unheard and what not in {Outcome.PLANNED, Outcome.WAITING}


def _is_partial(load: LoadRow, what: Outcome) -> bool:
    """Whether a load goes on, or went on when its run ended: the ledger has what it told of itself, and no result."""
    return what == Outcome.LOADING or (what == Outcome.GIVEN_UP and load.told_at is not None)


def _seconds_of(load: LoadRow, what: Outcome, seen: Seen) -> float | None:
    if not _has_begun(load, what):
        return None
    ended = {Outcome.LOADING: seen.until, Outcome.GIVEN_UP: load.told_at}.get(what, load.finished_at)
    seconds = _between(load.started_at, ended)
    # by the clock of another machine, a load that goes on may have yet to begin
    return 0.0 if seconds is None and what == Outcome.LOADING else seconds


def _steps(load: LoadRow, what: Outcome, seconds: float | None, run: RunRow) -> Steps:
    """The steps of a load. Of one without a result, only its last step is known: all of its time counts to that."""
    waiting = _between(run.started_at, load.started_at) or 0.0 if seconds is not None else 0.0
    if _is_partial(load, what):
        at_indexes = load.step == LoadStep.INDEXES
        so_far = seconds or 0.0
        return Steps(waiting, 0.0 if at_indexes else so_far, 0.0, so_far if at_indexes else 0.0, 0.0, 0.0, 0.0)
    verify = load.verify_seconds or 0.0
    copy = max((load.copy_seconds or 0.0) - verify, 0.0)
    index, analyze = load.index_seconds or 0.0, load.analyze_seconds or 0.0
    other = max((seconds or 0.0) - copy - verify - index - analyze, 0.0)
    figures = (waiting, copy, verify, index, analyze, other, load.merge_seconds or 0.0)
    return Steps(*(round(figure, 3) for figure in figures))


def _alike(kind: str | None, before: Sequence[PastLoadRow]) -> list[float]:
    """The seconds of published loads of the same kind, all rows or changes, or of all kinds if these are too few."""
    timed = [(past.load, past.seconds) for past in before if past.status == LoadStatus.PUBLISHED]
    alike = [seconds for one, seconds in timed if seconds is not None and _is_full(one) == _is_full(kind)]
    return alike if len(alike) >= _ALIKE else [seconds for _, seconds in timed if seconds is not None]


def _is_full(kind: str | None) -> bool:
    return kind in {None, LoadKind.FULL}


def _slow(
    load: LoadRow, seconds: float | None, before: Sequence[PastLoadRow]
) -> tuple[str, float, float] | tuple[None, None, None]:
    """The run since which the table is slow, this one included; the seconds that it usually took before, and since."""
    timed = [(past.run_id, past.seconds) for past in before if past.status == LoadStatus.PUBLISHED and past.seconds]
    timed += [(load.run_id, seconds)] if seconds else []
    judged = slow([one for _, one in timed])
    return (timed[judged.since][0], round(judged.before, 3), round(judged.after, 3)) if judged else (None, None, None)


def _is_staged(table: NightTable) -> bool:
    return table.outcome in _ARRIVED


def _changed(load: LoadRow | PastLoadRow) -> int | None:
    return None if _is_full(load.load) else (load.rows_changed or 0) + (load.rows_deleted or 0)


def _past(table: str, seen: Seen) -> Past:
    of_run = seen.past_of.get(table, {})
    loads = [of_run.get(run) for run in seen.nights]
    good = [load if load is not None and load.status == LoadStatus.PUBLISHED else None for load in loads]
    return Past(
        seconds=tuple(None if load is None or load.seconds is None else round(load.seconds, 3) for load in good),
        rows=tuple(None if load is None else load.rows for load in good),
        bytes=tuple(None if load is None else load.bytes for load in good),
        changed=tuple(None if load is None else _changed(load) for load in good),
        loads=tuple(None if load is None else _past_load(load) for load in loads),
    )


def _past_load(load: PastLoadRow) -> str:
    if load.status == LoadStatus.PUBLISHED:
        return load.load
    return LoadStatus.FAILED if load.has_failed else "not published"


def _past_night(run: RunRow, seen: Seen) -> PastNight:
    loads = [load for load in seen.past_by_run.get(run.run_id, ()) if load.status == LoadStatus.PUBLISHED]
    partial = [load for load in loads if not _is_full(load.load)]
    return _shared(run, [(_changed(load) or 0, load.rows or 0) for load in partial])


def _tonight(tables: Sequence[NightTable], seen: Seen, state: str) -> PastNight:
    changed = [(table.changed, table.rows or 0) for table in tables if table.changed is not None]
    night = _shared(seen.run, changed)
    rows, size = sum(table.rows or 0 for table in tables), sum(table.bytes or 0 for table in tables)
    so_far = _between(seen.run.started_at, seen.until)
    # of a run that goes on, the ledger has none of these yet
    return replace(night, status=state, tables=len(tables), rows=rows, bytes=size, seconds=so_far)


def _shared(run: RunRow, changed: Sequence[tuple[int, int]]) -> PastNight:
    """A night; ``changed`` has the changed rows and the rows of each table of which only changes were copied."""
    written, rows = (sum(pair[part] for pair in changed) for part in (0, 1))
    return PastNight(
        run_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        finished_at=run.finished_at,
        seconds=_seconds(run),
        tables=run.tables or 0,
        rows=run.rows or 0,
        bytes=run.bytes or 0,
        changed=written if changed else None,
        changed_share=round(min(written / rows, 1.0), 6) if changed and rows else None,
    )


def _shards(tables: Sequence[NightTable]) -> tuple[NightShard, ...]:
    """The shards, in the order of their numbers; none if one process has loaded all tables."""
    found: dict[str, list[NightTable]] = {}
    for table in tables:
        if table.shard is not None:
            found.setdefault(table.shard, []).append(table)
    numbers = sorted(found, key=lambda shard: (not shard.isdecimal(), int(shard) if shard.isdecimal() else 0, shard))
    return tuple(_shard(shard, found[shard]) for shard in numbers) if len(found) > 1 else ()


def _shard(shard: str, tables: Sequence[NightTable]) -> NightShard:
    began = min((table.started_at for table in tables if table.started_at), default=None)
    ended = max((table.finished_at for table in tables if table.finished_at), default=None)
    busy = round(sum(table.seconds or 0.0 for table in tables), 3)
    return NightShard(shard, len(tables), began, ended, _between(began, ended) or 0.0, busy)


def _seconds(run: RunRow) -> float | None:
    return _between(run.started_at, run.finished_at)


def _between(began: datetime | None, ended: datetime | None) -> float | None:
    """The seconds between two moments; None if one is unknown, or if the clock went back between them."""
    return None if began is None or ended is None or ended < began else round((ended - began).total_seconds(), 3)
