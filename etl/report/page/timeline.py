"""The bars of a night: for each table, when its load waited, copied, built indexes and so on, beside the usual time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from etl.commands.accounts import Report
from etl.commands.night import Night, NightTable
from etl.commands.outcome import Outcome

_LEAST = 0.3
"""The least width of a bar, in percent of the night: a load of a moment is seen, too."""

_NOTHING = 0.1
"""A step that is shorter than this, in percent of the night, is not drawn; the page has its seconds."""

_DAY = 86_400

_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, _DAY)
"""The steps between two times of the axis, in seconds."""

_MOST_TICKS = 6

_LAST_TICK = 94
"""Beyond this, in percent, a time would be cut at the edge."""

STEPS = {
    "w": "waiting",
    "c": "copy",
    "v": "verify",
    "i": "index",
    "a": "analyze",
    "o": "other",
    "f": "failed",
    "m": "merge",
    "p": "publish",
}
"""The steps in the order in which a load goes through them, by the class of their bars."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A time of the axis: how far to the right it is, in percent, and what it says."""

    percent: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its class, where it begins and how wide it is, both in percent of the night."""

    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time that a night's drawings show: from the run's beginning on, in seconds."""

    began: datetime
    seconds: float
    staged: float | None
    """When the last table was staged, if the run was published then."""

    @classmethod
    def of(cls, report: Report, night: Night) -> Timeline:
        """The time from a run's beginning to its end, or until when it has gone on."""
        began = report.started_at or night.at
        span = max(night.tonight.seconds or 0.0, 0.001)
        published = night.publish_seconds is not None and night.staged_at is not None
        staged = (night.staged_at - began).total_seconds() if published and night.staged_at else None
        return cls(began, span, staged)

    @property
    def ended(self) -> datetime:
        """Where the drawings end."""
        return self.began + timedelta(seconds=self.seconds)

    def bars(self, table: NightTable) -> Iterator[Bar]:
        """A table's bars, those behind first; without that of the publish, which is the same for all (``publish``)."""
        if table.started_at is None:
            return
        start = max((table.started_at - self.began).total_seconds(), 0.0)
        if usual := table.usual:
            yield self._bar("u", start + usual.p10, start + usual.p90)
        yield self._bar("w", 0.0, self.staged if self.is_live(table) and self.staged else start)
        yield from self._steps(table, start)
        if usual := table.usual:
            yield self._bar("n", start + usual.median, start + usual.median)

    def is_live(self, table: NightTable) -> bool:
        """Whether the publish has made the table live."""
        return self.staged is not None and table.outcome == Outcome.PUBLISHED

    @property
    def publish(self) -> Bar | None:
        """The bar of the publish."""
        return None if self.staged is None else self._bar("p", self.staged, self.seconds)

    def between(self, began: datetime | None, ended: datetime | None) -> Bar | None:
        """A bar between two times; None if one is unknown."""
        if began is None or ended is None:
            return None
        start, end = ((at - self.began).total_seconds() for at in (began, ended))
        return self._bar("c", max(start, 0.0), end)

    def _steps(self, table: NightTable, start: float) -> Iterator[Bar]:
        steps, at = table.steps, start
        last = "f" if table.outcome == Outcome.FAILED else "o"
        parts = {"c": steps.copy, "v": steps.verify, "i": steps.index, "a": steps.analyze, last: steps.other}
        longest = max(parts, key=lambda kind: parts[kind])
        for kind, seconds in parts.items():
            if kind == longest or seconds * 100 >= _NOTHING * self.seconds:
                yield self._bar(kind, at, at + seconds)
            at += seconds
        if steps.merge > 0 and self.is_live(table) and self.staged is not None:
            yield self._bar("m", self.staged, self.staged + steps.merge)

    def ticks(self) -> list[Tick]:
        """The times of the axis: round ones, at most six."""
        step = next((step for step in _TICKS if self.seconds / step <= _MOST_TICKS), _DAY)
        step *= max(ceil(self.seconds / step / _MOST_TICKS), 1)
        first = step - (self.began.timestamp() % step)
        count = int((self.seconds - first) // step) + 1
        found = [first + step * number for number in range(count)]
        ticks = [Tick(100 * at / self.seconds, self._said(at, step)) for at in found]
        return [tick for tick in ticks if tick.percent <= _LAST_TICK]

    def _said(self, seconds: float, step: float) -> str:
        """A time of the axis, as short as its neighbours let it be."""
        at = self.began + timedelta(seconds=seconds)
        if step < 60:
            return f"{at:%H:%M:%S}"
        day = f"{at.day} {at:%b}"
        return f"{at:%H:%M}" if self.seconds <= _DAY else day if step >= _DAY else f"{day} {at:%H:%M}"

    def _bar(self, kind: str, began: float, ended: float) -> Bar:
        left, right = (min(max(100 * at / self.seconds, 0.0), 100.0) for at in (began, ended))
        left = min(left, 100 - _LEAST)
        return Bar(kind, f"{round(left, 1):g}%", f"{round(max(right - left, _LEAST), 1):g}%")
