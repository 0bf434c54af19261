"""Writes zones.json: ``python infra/zones.py [--check]``.

The file has the names of all time zones, each with the hours in which its clocks are put forward. A schedule in such an
hour loses a night a year, because EventBridge Scheduler skips times that do not exist. The data comes from the package
tzdata, in the version that uv.lock has. With --check nothing is written; the exit status is 1 if the file is out of
date.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

FILE = Path(__file__).with_name("zones.json")
FIRST, LAST = 2025, 2037
"""Years that are looked at; tzdata lists what is not a rule, such as Morocco's Ramadan, for long enough."""

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


def zones() -> dict[str, list[int]]:
    """The hours in which a zone's clocks are put forward, by the zone's name; empty for most zones."""
    reset_tzpath([])  # use the package tzdata, not the machine's files
    return {name: sorted(_skipped(ZoneInfo(name))) for name in sorted(available_timezones()) if name != "Factory"}


def _skipped(zone: ZoneInfo) -> set[int]:
    first, last = datetime(FIRST, 1, 1, tzinfo=UTC), datetime(LAST + 1, 1, 1, tzinfo=UTC)
    days = [first + day * _DAY for day in range((last - first).days + 1)]
    offsets = [_offset(day, zone) for day in days]
    forward = (day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if after > before)
    return {hour for day in forward for hour in _skipped_within(day, zone)}


def _skipped_within(day: datetime, zone: ZoneInfo) -> set[int]:
    """The hours that the clocks skip, wholly or in part, within a day after a moment."""
    minute = next(day + i * _MINUTE for i in range(1, 1441) if _offset(day + i * _MINUTE, zone) > _offset(day, zone))
    before, after = _offset(day, zone), _offset(minute, zone)
    skipped = (minute + before + i * _MINUTE for i in range((after - before) // _MINUTE))
    return {local.hour for local in skipped}


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def main(check: bool) -> int:
    """Writes the file, or with ``check`` only compares it; returns the exit status."""
    lines = [f"{json.dumps(name)}: {json.dumps(hours)}" for name, hours in zones().items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print("infra/zones.json is not what tzdata says; run python infra/zones.py")
        return 1
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
