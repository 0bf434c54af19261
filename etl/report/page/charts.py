"""The charts of the nights: a bar a night, tonight's last, and a line at the median."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from etl.commands.night import Night, PastNight
from etl.commands.usual import FEWEST
from etl.model.status import RunStatus
from etl.report.page import figures

WIDTH, HEIGHT = 310, 60

_ROOM = 10
"""Room is left for so many nights at least, so that two of them are not two walls."""


@dataclass(frozen=True, slots=True)
class Column:
    """A night of a chart: where its bar is, and what is said of it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    """The class: `tonight`, `bad` of a night that was not published, or empty."""
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of the last nights."""

    name: str
    now: str
    """Tonight's figure."""
    usual: str
    """The median of the published nights before, as `usually 38 min 0 s`; empty if there is none."""
    columns: tuple[Column, ...]
    line: float | None
    """How far down the median is."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """A figure that each night has, and how it is written."""

    name: str
    of: Callable[[PastNight], float | None]
    said: Callable[[float | None], str]

    def chart(self, nights: Sequence[PastNight]) -> Chart:
        """The chart of these nights. The last of them is tonight."""
        before = [self.of(one) for one in nights[:-1] if one.status == RunStatus.PUBLISHED]
        good = [value for value in before if value is not None]
        highest = max((self.of(one) or 0.0 for one in nights), default=0.0) or 1.0
        columns = [self._column(nights, number, highest) for number in range(len(nights))]
        columns[-1] = replace(columns[-1], kind=f"tonight {columns[-1].kind}".strip())
        return Chart(
            name=self.name,
            now=self.said(self.of(nights[-1])),
            usual=f"{'usually' if len(good) >= FEWEST else 'before'} {self.said(median(good))}" if good else "",
            columns=tuple(columns),
            line=round(HEIGHT * (1 - median(good) / highest), 1) if good else None,
        )

    def _column(self, nights: Sequence[PastNight], number: int, highest: float) -> Column:
        night, step = nights[number], WIDTH / max(len(nights), _ROOM)
        value, began = self.of(night), figures.moment(night.started_at, nights[-1].started_at)
        height = round(max(HEIGHT * (value or 0.0) / highest, 1.0), 1)
        title = f"{began}: {self.said(value)}{f' ({night.status})' if night.is_bad else ''}"
        x, y, width = round(number * step + 1, 1), round(HEIGHT - height, 1), round(step - 2, 1)
        return Column(x, y, width, height, "bad" if night.is_bad else "", title)


_MEASURES = (
    _Measure("Duration", lambda night: night.seconds, figures.seconds),
    _Measure("Rows", lambda night: night.rows, figures.count),
    _Measure("Copied", lambda night: night.bytes, figures.size),
    _Measure("Changed rows", lambda night: night.changed_share, figures.share),
)


def charts(night: Night) -> list[Chart]:
    """How long the runs took, their rows and bytes, and the share of rows that had changed, where that is known."""
    nights = [*night.before, night.tonight]
    known = [measure for measure in _MEASURES if any(measure.of(one) is not None for one in nights)]
    return [measure.chart(nights) for measure in known]
