"""How long a load or a run usually takes, and whether it took longer than that. Pure policy."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

from etl.commands.night import Usual
from etl.commands.slowness import SLOWER, SLOWER_BY

FEWEST = 3
"""Fewer nights show no habit (``slowness`` has the same)."""


def usual(seconds: Sequence[float]) -> Usual | None:
    """What the nights tell, in any order; None if there are fewer than three."""
    if len(seconds) < FEWEST:
        return None
    tenths = quantiles(seconds, n=10, method="inclusive")
    return Usual(len(seconds), *(round(one, 3) for one in (median(seconds), tenths[0], tenths[-1])))


def is_slower(seconds: float | None, than: Usual | None) -> bool:
    """Whether a load or a run took longer than nine of ten nights, and much longer than the usual one."""
    if seconds is None or than is None:
        return False
    least = max(than.p90, SLOWER * than.median, than.median + SLOWER_BY)
    return seconds > least
