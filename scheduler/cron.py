"""When a job is due: cron expressions in a time zone.

cronsim reads the expressions, and has the rules of Debian's cron for DST
(docs/decisions.md, "cronsim says when a job is due"). What it does not do is made up for here: an expression that names
hours, such as ``0 */2 * * *``, follows the clock on the wall. A time that the clock leaves out is due right after the
gap; one that comes twice is due the first time. An expression of every hour follows elapsed time, so no hour is left
out and none is doubled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from difflib import get_close_matches
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The names of schedules that cron has (crontab(5)); ``@reboot`` is no time."""

LONGEST = 512
"""Characters of an expression: ten messages that carry one each are one request of the queue, which has its limit."""

_EXAMPLE = 'write five fields, such as "30 2 * * *", or one of @hourly, @daily, @weekly, @monthly, @yearly'
_INSTANT, _MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
_LONGEST_ABBREVIATION = 5
_NO_ZONES, _OTHER_ZONES = frozenset({"localtime", "posixrules", "Factory"}), ("posix/", "right/")
"""Files that some machines have beside the zones: elsewhere they are other zones, or none; "right" has leap seconds."""
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class BadSchedule(ValueError):
    """A cron expression or a time zone that cannot be used; the text says what is wrong with it, and the remedy."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in a time zone, as the user wrote both."""

    cron: str
    zone: str = "UTC"

    @classmethod
    def of(cls, cron: str, zone: str = "UTC") -> Schedule:
        """A schedule that has due times; raises BadSchedule."""
        _fields(cron)
        _zone(zone)
        schedule = cls(cron, zone)
        if schedule.next(_ANY_TIME) is None:
            raise BadSchedule(f"cron is {cron!r}, which no date matches; {_EXAMPLE}")
        return schedule

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The due times after a moment, in UTC, each later than the one before; none if no date matches any more."""
        fields, last = _fields(self.cron), moment.astimezone(UTC)
        by = _by_elapsed_time if fields.split()[1] == "*" else _by_the_clock
        for due in by(fields, self.timezone, last):
            # Within the hour that comes twice the clock gives times that have been; a gap gives one time several times.
            if due > last:
                yield due
                last = due

    def next(self, moment: datetime) -> datetime | None:
        """The first due time after a moment, in UTC; None if there is none any more."""
        return _next(self.cron, self.zone, moment.astimezone(UTC))

    @property
    def timezone(self) -> ZoneInfo:
        """The time zone."""
        return _zone(self.zone)

    def __str__(self) -> str:
        return f"{self.cron} {self.zone}"


def _by_the_clock(fields: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    for found in CronSim(fields, moment.astimezone(zone)):
        yield found.astimezone(UTC)


def _by_elapsed_time(fields: str, zone: ZoneInfo, moment: datetime) -> Iterator[datetime]:
    """The due times of a schedule of every hour, from one change of the offset to the next.

    cronsim alone loses the first time after a change by half an hour (Australia/Lord_Howe; test_cron.py).
    """
    start: datetime | None = moment
    while start is not None:
        offset, start = start.astimezone(zone).utcoffset() or timedelta(), None
        last = moment
        for found in CronSim(fields, moment.astimezone(timezone(offset))):
            due = found.astimezone(UTC)
            if due.astimezone(zone).utcoffset() != offset:
                start = _change(zone, last, due)
                moment = start - _INSTANT
                break
            yield due
            last = due


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute after ``before`` whose offset is that of ``after``."""
    offset = after.astimezone(zone).utcoffset()
    minutes = range(1, int((after - before) / _MINUTE) + 1)
    found = bisect_left(minutes, True, key=lambda n: (before + _MINUTE * n).astimezone(zone).utcoffset() == offset)
    return before + _MINUTE * minutes[found]


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        if name in _NO_ZONES or name.startswith(_OTHER_ZONES):
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {
            part.casefold(): zone
            for zone in sorted(available_timezones() - _NO_ZONES)
            for part in (zone, zone.split("/")[-1])
        }
        is_abbreviated = len(name) <= _LONGEST_ABBREVIATION and name.isupper()  # CEST is near EST, and another time
        near = get_close_matches(name.strip().casefold().replace(" ", "_"), known, n=1, cutoff=0.8)
        near = [] if is_abbreviated else near
        meant = f"did you mean {known[near[0]]}?" if near else "write a name such as Europe/Berlin or UTC"
        raise BadSchedule(f"zone is {name!r}, which is no time zone; {meant}") from None


@cache
def _fields(cron: str) -> str:
    """Five fields that cronsim reads as this module's rules want; raises BadSchedule.

    cronsim follows the wall clock only if neither minute nor hour begins with ``*``. So an hour field that names hours
    is written out, and one of all 24 hours becomes ``*``.
    """
    text = " ".join(cron.split())
    if len(text) > LONGEST:
        raise BadSchedule(f"cron has {len(text):,} characters; write at most {LONGEST}, with ranges and steps")
    fields = NAMES.get(text.lower(), text).split()
    if len(fields) != 5:
        meant = "; such a name is not known here" if text.startswith("@") else f", which has {len(fields)} fields"
        raise BadSchedule(f"cron is {cron!r}{meant}; {_EXAMPLE}")
    try:
        parsed = CronSim(" ".join(fields), _ANY_TIME)
    except CronSimError as error:
        raise BadSchedule(f"cron is {cron!r}: {str(error)[:1].lower()}{str(error)[1:]}; {_EXAMPLE}") from None
    if len(parsed.hours) == 24:
        return " ".join([fields[0], "*", *fields[2:]])
    return " ".join([_listed(parsed.minutes), _listed(parsed.hours), *fields[2:]])


def _listed(values: set[int]) -> str:
    return ",".join(map(str, sorted(values)))


@lru_cache(maxsize=8192)
def _next(cron: str, zone: str, moment: datetime) -> datetime | None:
    """Tens of thousands of jobs have few schedules, and are asked about the same minutes."""
    return next(Schedule(cron, zone).after(moment), None)
