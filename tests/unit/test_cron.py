"""When jobs are due: held against a count of all minutes, around each change of the clocks from 2026 to 2030."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cron import NAMES, BadSchedule, Schedule

ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Santiago",  # changes at midnight
    "America/St_Johns",  # half an hour beside the hour
    "Australia/Lord_Howe",  # changes by half an hour
    "Australia/Sydney",
    "Africa/Cairo",  # changes at midnight, on Fridays
    "Asia/Beirut",  # changes at midnight
)
SIX_HOURS = ["00:00+02:00", "01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00", "04:00+01:00"]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fields:
    """Minutes and hours of a schedule on every day; ``hours`` is empty for every hour."""

    minutes: frozenset[int]
    hours: frozenset[int]
    is_step: bool

    @property
    def cron(self) -> str:
        """The expression; a step of hours is written with a star, as people write it."""
        hours = "*" if not self.hours else ",".join(map(str, sorted(self.hours)))
        if self.is_step:
            hours = f"*/{24 // len(self.hours)}"
        return f"{','.join(map(str, sorted(self.minutes)))} {hours} * * *"


def fields() -> st.SearchStrategy[Fields]:
    """Schedules with some minutes, and some, every or each n-th hour."""
    minutes = st.frozensets(st.integers(0, 59), min_size=1, max_size=4)
    some = st.frozensets(st.one_of(st.integers(0, 4), st.integers(0, 23)), min_size=1, max_size=6)
    steps = st.sampled_from([2, 3, 4, 6, 8, 12]).map(lambda step: frozenset(range(0, 24, step)))
    return st.one_of(
        st.builds(Fields, minutes, some, st.just(False)),
        st.builds(Fields, minutes, st.just(frozenset()), st.just(False)),
        st.builds(Fields, minutes, steps, st.just(True)),
    )


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The hours in which a zone's offset changes, from 2026 to 2030."""
    zone, hours = ZoneInfo(name), int((datetime(2031, 1, 1) - datetime(2026, 1, 1)) / HOUR)
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + HOUR * n for n in range(hours)]
    offsets = [moment.astimezone(zone).utcoffset() for moment in moments]
    return tuple(moments[n] for n in range(1, hours) if offsets[n] != offsets[n - 1])


def counted(spec: Fields, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The due times after ``start`` and up to ``end``, by the rules and without cron: minute by minute."""
    found = set(_each_hour(spec, zone, start, end) if not spec.hours else _named(spec, zone, start, end))
    return sorted(moment for moment in found if start < moment <= end)


def _each_hour(spec: Fields, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = start.replace(second=0, microsecond=0)
    while moment <= end:
        if moment.astimezone(zone).minute in spec.minutes:
            yield moment
        moment += MINUTE


def _named(spec: Fields, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.astimezone(zone).date() - DAY
    while day <= end.astimezone(zone).date():
        for hour in spec.hours:
            for minute in spec.minutes:
                yield first(day, time(hour, minute), zone)
        day += DAY


def first(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first instant with this time on the clock or, if the clock leaves it out, the first one after the gap."""
    wall = datetime.combine(day, at, zone)
    while wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
        wall += MINUTE
    return wall.astimezone(UTC)


def test_the_ten_zones_change_their_clocks() -> None:
    """In each there is something to show: two changes a year, but for the zones that give them up."""
    assert {name: len(changes(name)) for name in ZONES} == dict.fromkeys(ZONES, 10)


@settings(max_examples=300, deadline=None)
@given(spec=fields(), name=st.sampled_from(ZONES), number=st.integers(0, 9), before=st.integers(0, 600))
def test_a_schedule_is_due_as_a_count_of_the_minutes_says(spec: Fields, name: str, number: int, before: int) -> None:
    """Wherever one begins to ask, also within the hour that comes twice."""
    change = changes(name)[number]
    start, end = change - MINUTE * before, change + DAY
    schedule = Schedule.of(spec.cron, name)
    found: list[datetime] = []
    for moment in schedule.after(start):
        if moment > end:
            break
        found.append(moment)
    assert found == counted(spec, ZoneInfo(name), start, end)


@settings(max_examples=100, deadline=None)
@given(spec=fields(), name=st.sampled_from(ZONES), number=st.integers(0, 9), before=st.integers(0, 200))
def test_asking_again_from_each_due_time_gives_the_same(spec: Fields, name: str, number: int, before: int) -> None:
    """A tick knows only the last due time."""
    schedule, moment = Schedule.of(spec.cron, name), changes(name)[number] - MINUTE * before
    whole = list(islice(schedule.after(moment), 30))
    for due in whole:
        found = schedule.next(moment)
        assert found == due
        moment = found


@pytest.mark.parametrize(
    ("cron", "day", "due"),
    [
        ("30 2 * * *", "2027-03-28", ["03:00+02:00"]),
        ("30 2 * * *", "2027-10-31", ["02:30+02:00"]),
        ("0,30 2 * * *", "2027-03-28", ["03:00+02:00"]),
        ("0 */2 * * *", "2027-03-28", ["00:00+01:00", "03:00+02:00", "04:00+02:00"]),
        ("0 */2 * * *", "2027-10-31", ["00:00+02:00", "02:00+02:00", "04:00+01:00"]),
        ("0 * * * *", "2027-03-28", ["00:00+01:00", "01:00+01:00", "03:00+02:00", "04:00+02:00"]),
        ("0 * * * *", "2027-10-31", SIX_HOURS),
        ("0 0-23 * * *", "2027-10-31", SIX_HOURS),
    ],
)
def test_the_two_days_in_berlin(cron: str, day: str, due: list[str]) -> None:
    """As docs/scheduler.md has them."""
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=zone)
    found = [each.astimezone(zone) for each in islice(Schedule.of(cron, zone.key).after(midnight - MINUTE), 10)]
    until = midnight.replace(hour=4).astimezone(UTC)
    assert [each.isoformat()[11:16] + each.isoformat()[19:] for each in found if each.astimezone(UTC) <= until] == due


def test_names_and_five_fields() -> None:
    """What crontab(5) has, but for @reboot."""
    for name, cron in NAMES.items():
        moment = datetime(2026, 11, 28, tzinfo=UTC)
        assert Schedule.of(name.upper()).next(moment) == Schedule.of(cron).next(moment)
    assert Schedule.of("0 4 1-7 * MON").next(datetime(2026, 11, 28, tzinfo=UTC)) == datetime(
        2026, 11, 30, 4, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("", "UTC", "cron is '', which has 0 fields; write five fields"),
        ("* * * *", "UTC", "which has 4 fields"),
        ("0 0 2 * * *", "UTC", "which has 6 fields"),
        ("61 * * * *", "UTC", "cron is '61 * * * *': bad minute; write five fields"),
        ("0 2 * * MOON", "UTC", "bad day-of-week"),
        ("0 0 30 2 *", "UTC", "bad day-of-month"),
        ("@reboot", "UTC", "cron is '@reboot'; such a name is not known here"),
        ("@daily", "berlin", "zone is 'berlin', which is no time zone; did you mean Europe/Berlin?"),
        ("@daily", "Europe/Brelin", "did you mean Europe/Berlin?"),
        ("@daily", "", "zone is '', which is no time zone; write a name such as Europe/Berlin or UTC"),
        ("@daily", "../etc/passwd", "which is no time zone"),
        (
            "@daily",
            "localtime",
            "zone is 'localtime', which is no time zone; write a name such as Europe/Berlin or UTC",
        ),
        ("@daily", "right/Europe/Berlin", "which is no time zone"),
    ],
)
def test_a_schedule_that_cannot_be_used_says_why(cron: str, zone: str, said: str) -> None:
    """In one line, with the remedy."""
    with pytest.raises(BadSchedule) as refused:
        Schedule.of(cron, zone)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
