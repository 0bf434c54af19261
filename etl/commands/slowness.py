"""Since which night a table is slow. Pure policy.

The nights are cut in two where the seconds of both parts differ least from their medians. The later part is slow if its
median is well above the earlier one's. So one slow night, or a full load now and then, makes no table slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import median, median_low

_BEFORE, _AFTER = 3, 2
"""The nights that each part has at least: fewer show no habit."""

SLOWER = 1.5
"""How many times longer the later nights take at least: less is the usual difference between two nights."""

SLOWER_BY = 1.0
"""And by how many seconds: a table of a tenth of a second may take two tenths."""


@dataclass(frozen=True, slots=True)
class Slow:
    """A table that has become slow: the first slow night by its index, the median seconds before and since."""

    since: int
    before: float
    after: float


def slow(seconds: Sequence[float]) -> Slow | None:
    """Since when a table is slow, by the seconds of its nights, the oldest first; None if it is not."""
    cuts = range(_BEFORE, len(seconds) - _AFTER + 1)
    if not cuts:
        return None
    logs = [log(max(one, 0.01)) for one in seconds]
    since = min(cuts, key=lambda cut: _spread(logs[:cut]) + _spread(logs[cut:]))
    before, after = median(seconds[:since]), median(seconds[since:])
    least = median_low(seconds[since:])  # of two nights, both are slow
    if least < SLOWER * before or least - before < SLOWER_BY:
        return None
    return Slow(since, before, after)


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return sum(abs(value - middle) for value in values)
