"""What a tick does with a job that is due: which due times it sends, and when the job is due next. Pure policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from .cron import Schedule
from .job import CatchUp

GRACE = timedelta(minutes=3)
"""A due time so long ago is not missed: the tick of its minute may be late, or may have failed once."""

COUNTED = 1500
"""Due times before the window of which a tick takes notice: a day of one each minute. Further ones are not counted."""

DOUBTFUL = 6
"""So many of the first missed due times, and of the last, may have been sent by a tick that was killed before it moved
the job on: it sends what was due in its GRACE and is due up to its horizon."""

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the index has of a job that is due: enough to decide, and to send."""

    id: str
    schedule: Schedule
    next_run_at: datetime
    catch_up: CatchUp
    window: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """The due times to send, the number of those that were missed, and the next due time; None if there is none.

    ``doubtful`` are missed ones that may have been sent before; the runner counts those that were not.
    """

    sent: tuple[datetime, ...]
    missed: int
    next_run_at: datetime | None
    doubtful: tuple[datetime, ...] = ()


def horizon(now: datetime) -> datetime:
    """Up to when a tick looks: the end of the next minute, because the next tick may come late in its minute."""
    return now.replace(second=0, microsecond=0) + timedelta(minutes=2) - _INSTANT


def decide(job: Waiting, now: datetime, until: datetime) -> Decision:
    """What to do with a job's due times from its next run up to ``until``.

    Due times that are past by more than GRACE were missed. The last of them is sent if the job catches up, if it is
    within the window, and if no later one is due by now.
    """
    edge = now - max(job.window, GRACE)
    old = list(takewhile(lambda moment: moment < edge, islice(_due(job, job.next_run_at), COUNTED)))
    recent = list(takewhile(lambda moment: moment <= until, _due(job, max(edge, job.next_run_at))))
    sent = [moment for moment in recent if moment >= now - GRACE]
    missed = [*old, *recent[: len(recent) - len(sent)]]
    is_behind = len(recent) > len(sent) and not any(moment <= now for moment in sent)
    if is_behind and job.catch_up is CatchUp.ONCE:
        sent = [missed.pop(), *sent]
    doubtful = missed if len(missed) <= 2 * DOUBTFUL else [*missed[:DOUBTFUL], *missed[-DOUBTFUL:]]
    return Decision(tuple(sent), len(missed), job.schedule.next(max(until, job.next_run_at)), tuple(doubtful))


def is_too_late(due: datetime, now: datetime, window: timedelta) -> bool:
    """Whether a due time that has waited since it was sent is missed by now."""
    return now - due > max(window, GRACE)


def is_overtaken(schedule: Schedule, due: datetime, now: datetime) -> bool:
    """Whether a due time that is delivered only now was missed: it is past by more than GRACE, and a later one is due.

    So of those that the queue has kept while no runner was there, the last is started, as after lost ticks.
    """
    return now - due > GRACE and (later := schedule.next(due)) is not None and later <= now


def _due(job: Waiting, start: datetime) -> Iterator[datetime]:
    """The due times from a moment on; the first is the job's own, which may be of no schedule (moved by hand)."""
    moment: datetime | None = job.next_run_at
    if start > job.next_run_at:
        moment = job.schedule.next(start - _INSTANT)
    while moment is not None:
        yield moment
        moment = job.schedule.next(moment)
