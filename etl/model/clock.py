"""The start of a run or a load: its time by the system clock, and its duration by the monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Began:
    """A start: the time (UTC), and the reading of the monotonic clock at that time, in seconds."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ticks: float = field(default_factory=perf_counter)

    def now(self) -> datetime:
        """Returns the start time plus the monotonic seconds since, so that setting the clock changes no duration."""
        return self.at + timedelta(seconds=perf_counter() - self.ticks)
