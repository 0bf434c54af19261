"""Due times and lengths of time, as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from scheduler.job import Job

FORESEEN = 5
"""The due times that are shown of a job."""

_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def local(moment: datetime, zone: ZoneInfo) -> str:
    """A moment on the clock of a zone, with its offset from UTC, which shows a change of DST."""
    there = moment.astimezone(zone)
    offset = f"{there:%z}"
    return f"{there:%a %Y-%m-%d %H:%M}{f':{there:%S}' if there.second else ''} {offset[:3]}:{offset[3:5]}"


def foreseen(job: Job, now: datetime) -> tuple[datetime, ...]:
    """A job's next due times, in its zone."""
    return tuple(due.astimezone(job.schedule.timezone) for due in islice(job.schedule.after(now), FORESEEN))


def soon(moment: datetime, now: datetime) -> str:
    """How soon a moment is, or how long ago it was."""
    away = abs(moment - now)
    told = "less than a minute"
    for (name, unit), (inner, part) in zip(_UNITS, [*_UNITS[1:], ("second", timedelta(seconds=1))], strict=True):
        if away >= unit:
            rest = (away % unit) // part if name != "minute" else 0
            told = f"{away // unit} {name[0] if name != 'minute' else 'min'}"
            told += f" {rest} {inner[0] if inner != 'minute' else 'min'}" if rest else ""
            break
    return f"in {told}" if moment >= now else f"{told} ago"


def words(length: timedelta) -> str:
    """A length of time as the file has it: 6 hours."""
    for name, unit in _UNITS:
        if length >= unit and not length % unit:
            many = length // unit
            return f"{many} {name}{'s' if many > 1 else ''}"
    return f"{length.total_seconds():g} seconds"
