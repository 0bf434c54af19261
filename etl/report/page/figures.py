"""Numbers and moments for people, as the page writes them. All moments are UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from etl.model.wording import took

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

NOTHING = "–"
"""What stands where there is no figure."""


def count(number: float | None) -> str:
    """A whole number: ``12,345``."""
    return NOTHING if number is None else f"{number:,.0f}"


def size(number: float | None) -> str:
    """Bytes: ``12.3 MB``, in steps of 1,000."""
    if number is None:
        return NOTHING
    left, unit = float(number), 0
    while left >= 999.5 and unit < len(_UNITS) - 1:
        left, unit = left / 1000, unit + 1
    return f"{left:.0f} {_UNITS[unit]}" if unit == 0 or left >= 99.5 else f"{left:.1f} {_UNITS[unit]}"


def seconds(number: float | None) -> str:
    """A duration: ``0.12 s``, ``12.3 s``, ``3 min 40 s``."""
    if number is None:
        return NOTHING
    if number < 60:
        return f"{number:.2f} s" if number < 10 else f"{number:.1f} s"
    return took(number)


def share(number: float | None) -> str:
    """A part of a whole: ``1.2 %``."""
    if number is None:
        return NOTHING
    return f"{100 * number:.0f} %" if number >= 0.0995 or number == 0 else f"{100 * number:.2g} %"


def ratio(number: float | None) -> str:
    """How many times: ``1.8 ×``."""
    return NOTHING if number is None else f"{number:.1f} ×"


def moment(at: datetime | None, beside: datetime) -> str:
    """``28 Nov 02:00:03``, or ``28 Nov 2025 02:00:03`` if that is not the year of ``beside``."""
    return NOTHING if at is None else f"{_date(at, beside)} {_utc(at):%H:%M:%S}"


def minute(at: datetime, beside: datetime) -> str:
    """``28 Nov 02:00``, or with the year as of ``moment``."""
    return f"{_date(at, beside)} {_utc(at):%H:%M}"


def clock(at: datetime | None) -> str:
    """``02:00:03``."""
    return NOTHING if at is None else f"{_utc(at):%H:%M:%S}"


def day(at: datetime) -> str:
    """``Saturday, 28 November 2026``."""
    return f"{_utc(at):%A}, {_utc(at).day} {_utc(at):%B %Y}"


def _date(at: datetime, beside: datetime) -> str:
    year = "" if _utc(at).year == _utc(beside).year else f" {_utc(at).year}"
    return f"{_utc(at).day} {_utc(at):%b}{year}"


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
