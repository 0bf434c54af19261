"""A beginning: when it was, by the clock on the wall, and how long ago that is, by one that nobody sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Began:
    """A beginning: the instant (UTC), and the seconds of the monotonic clock at that moment."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ticks: float = field(default_factory=perf_counter)

    def now(self) -> datetime:
        """Gives the present as the beginning's clock would have it: no setting of the clock changes a duration."""
        return self.at + timedelta(seconds=perf_counter() - self.ticks)
