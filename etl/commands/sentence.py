"""How a night is, in one sentence, for people who have just got up. Pure policy.

"All 214 tables as of 02:00:03, published 02:41 (38 min 2 s); 3 were slower than usual; yesterday 02:36."
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from etl.commands.accounts import Watched
from etl.commands.night import NightTable, Usual
from etl.commands.outcome import Outcome
from etl.commands.usual import is_slower
from etl.ledger.rows import RunRow
from etl.model import gate
from etl.model.status import RunStatus
from etl.model.wording import counted, either, took

_CUT = 240
"""Characters of an error that the sentence quotes; the page has all of it below."""

_NAMED = 3
"""So many failed tables are named; of more, one."""

_LATE_BY = 60.0
"""A run that is late, or was slow, is so by a minute at least."""

DEAD, PLANNED, STAGED = "dead", "planned", "staged"
"""States of a run that the ledger has as running: its processes are gone; nothing of it has begun; or it waits for
``etl publish``."""


@dataclass(frozen=True)
class Told:
    """What a sentence tells of; ``before`` are the nights before, the newest first."""

    run: RunRow
    before: Sequence[RunRow]
    watched: Watched | None
    usual: Usual | None
    tables: Sequence[NightTable]
    at: datetime
    is_superseded: bool = False
    """Whether a later run has published since what readers saw then."""

    @property
    def state(self) -> str:
        """The run's status, or what a run is that is running by the ledger, but has no process that goes on."""
        if self.run.status != RunStatus.RUNNING or self.watched is None:
            return self.run.status
        if self.watched.status != RunStatus.RUNNING:
            return self.watched.status
        return self.watched.phase if self.watched.phase in {PLANNED, STAGED} else RunStatus.RUNNING

    def __str__(self) -> str:
        return f"{'; '.join(_PARTS.get(self.state, _other)(self))}."

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far."""
        return max(((self.run.finished_at or self.at) - self.run.started_at).total_seconds(), 0.0)

    def clock(self, moment: datetime, *, seconds: bool = False) -> str:
        """A time of day, with its date if that is not the day on which the run ended, and the year if it is another."""
        base = self.run.finished_at or self.at
        of_day = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
        day = f"{moment.day} {moment:%b}{'' if moment.year == base.year else f' {moment.year}'}"
        return of_day if moment.date() == base.date() else f"{day} {of_day}"


def _published(told: Told) -> list[str]:
    ended = told.run.finished_at or told.at
    number = len(told.tables)
    as_of = f" as of {told.clock(told.run.snapshot_at, seconds=True)}" if told.run.snapshot_at and number else ""
    longer = told.usual is not None and _is_late(told.seconds, told.usual)
    usually = f", usually {took(told.usual.median)}" if told.usual and longer else ""
    all_of = "The table" if number == 1 else f"All {counted(number, 'table')}" if number else "No table"
    slower = sum(table.is_slower for table in told.tables)
    return [
        f"{all_of}{as_of}, published {told.clock(ended)} ({took(told.seconds)}{usually})",
        *([f"let pass by {told.run.passed_by}"] if told.run.passed_by else []),
        *([f"{slower:,} {'was' if slower == 1 else 'were'} slower than usual"] if slower else []),
        _the_night_before(told),
    ]


def _is_late(seconds: float, usual: Usual) -> bool:
    """Whether a run is slower than usual, and by so much that it is worth a word."""
    return is_slower(seconds, usual) and seconds - usual.median >= _LATE_BY


def _the_night_before(told: Told) -> str:
    """When the last night before was published."""
    last = next((run for run in told.before if run.status == RunStatus.PUBLISHED and run.finished_at), None)
    if last is None or last.finished_at is None:
        return "no night before to compare with" if not told.before else "no night before was published"
    days = ((told.run.finished_at or told.at).date() - last.finished_at.date()).days
    return f"yesterday {last.finished_at:%H:%M}" if days == 1 else f"before that {told.clock(last.finished_at)}"


def _failed(told: Told) -> list[str]:
    return [f"Failed at {_ended(told)}: {_why(told)}", _readers(told)]


def _interrupted(told: Told) -> list[str]:
    return [f"Interrupted at {_ended(told)}: {_why(told)}", _readers(told)]


def _stopped(told: Told) -> list[str]:
    why = _quoted(gate.reason(told.run.error or ""))
    because = f", {why}" if why.startswith("because") else f": {why}"
    parts = [f"Stopped before the publish at {_ended(told)}{because}", _readers(told)]
    if told.run.kept_until:
        can = "could" if told.run.kept_until <= told.at else "can"
        parts.append(f"it {can} be let pass until {told.clock(told.run.kept_until)}")
    return parts


def _running(told: Told) -> list[str]:
    assert told.watched is not None
    seen = told.watched
    late = told.usual is not None and _is_late(told.seconds, told.usual)
    usually = f", usually done after {took(told.usual.median)}" if told.usual and late else ""
    publishing = f"all {counted(seen.tables, 'table')} are staged, and the publish goes on"
    return [
        f"{'Late: still' if late else 'Still'} running after {took(told.seconds)}{usually}",
        publishing if seen.phase == "publishing" else _counts(seen),
        *([f"expected to end at {told.clock(seen.expected_at)}"] if seen.expected_at else []),
        _readers(told),
    ]


def _planned(told: Told) -> list[str]:
    tables = counted(len(told.tables), "table")
    return [f"Planned at {told.clock(told.run.started_at)} with {tables}, and nothing of it has begun", _readers(told)]


def _staged(told: Told) -> list[str]:
    ends = [table.finished_at for table in told.tables if table.finished_at]
    since = f" since {told.clock(max(ends))}" if ends else ""
    all_of = f"All {counted(len(told.tables), 'table')}"
    return [f"{all_of} are staged{since} and wait for `etl publish {told.run.run_id}`", _readers(told)]


def _dead(told: Told) -> list[str]:
    sign = told.watched.told_at if told.watched else None
    last = f", and the last sign of it was at {told.clock(sign)}" if sign else ""
    return [
        f"Dead: the run began at {told.clock(told.run.started_at)}, and its processes are gone{last}",
        *([_counts(told.watched, was_loading=_loading(told))] if told.watched else []),
        _readers(told),
        f"run again, or `etl abort {told.run.run_id}`",
    ]


def _other(told: Told) -> list[str]:
    return [f"The run is {told.run.status}", _readers(told)]


_PARTS: Mapping[str, Callable[[Told], list[str]]] = {
    RunStatus.PUBLISHED: _published,
    RunStatus.FAILED: _failed,
    RunStatus.INTERRUPTED: _interrupted,
    RunStatus.STOPPED: _stopped,
    RunStatus.RUNNING: _running,
    PLANNED: _planned,
    STAGED: _staged,
    DEAD: _dead,
}


def _loading(told: Told) -> int:
    """How many tables the run was loading when it died."""
    return sum(table.outcome == Outcome.LOADING for table in told.tables)


def _counts(seen: Watched, was_loading: int = 0) -> str:
    counts = [f"{seen.staged:,} of {counted(seen.tables, 'table')} staged"]
    counts += [f"{len(seen.loading):,} loading"] if seen.loading else []
    counts += [f"{was_loading:,} cut off"] if was_loading else []
    counts += [f"{seen.waiting:,} waiting"] if seen.waiting else []
    counts += [f"{seen.failed:,} failed"] if seen.failed else []
    return ", ".join(counts)


def _ended(told: Told) -> str:
    return f"{told.clock(told.run.finished_at or told.at)} after {took(told.seconds)}"


def _why(told: Told) -> str:
    failed = [table for table in told.tables if table.outcome == Outcome.FAILED]
    if not failed:
        return _quoted(told.run.error)
    of = counted(len(told.tables), "table")
    if len(failed) > _NAMED:
        return f"{len(failed):,} of {of} failed, among them {failed[0].table}"
    return f"{either([table.table for table in failed], 'and')} failed, of {of}"


def _quoted(error: str | None) -> str:
    text = (error or "the ledger has no error of it").rstrip(".")
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"


def _readers(told: Told) -> str:
    """As of when the live tables are. They may be of several runs, if one has copied single tables."""
    if told.tables:
        seen = sorted({table.as_of for table in told.tables if table.as_of})
    else:
        good = (run for run in told.before if run.status == RunStatus.PUBLISHED)
        seen = [run.snapshot_at for run in good if run.snapshot_at][:1]
    if not seen and told.is_superseded:
        return "no run of these tables had been published, so readers had none"
    if not seen:
        return "no run of these tables was published yet, so readers have none"
    times = " to ".join(told.clock(one, seconds=True) for one in sorted({seen[0], seen[-1]}))
    return f"readers saw {times} then" if told.is_superseded else f"readers still see {times}"
