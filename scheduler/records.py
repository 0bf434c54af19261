"""What the registry has of a job and of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .job import Job


@dataclass(frozen=True, slots=True)
class Counters:
    """What has become of a job's due times so far, and of its runs."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    """Due times at which the last execution was still running."""
    missed: int = 0
    waited: int = 0
    """How often a due time was put back because a pool was full."""
    failures_in_row: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """A job as the registry has it. ``last_run`` is the name of its last execution."""

    job: Job
    counters: Counters
    next_run_at: datetime | None
    last_run: str | None
    last_status: str | None
    last_error: str | None
    paused_told: bool
    last_ended_at: datetime | None = None

    def has_ended_since(self, moment: datetime) -> bool:
        """Whether a run of the job is known to have ended later than then."""
        return self.last_ended_at is not None and self.last_ended_at > moment


@dataclass(frozen=True, slots=True)
class Run:
    """One due time and its result. ``pools`` are those in which its execution has a place."""

    name: str
    status: str
    due: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    late_seconds: float | None = None
    waits: int = 0
    error: str | None = None
    pools: tuple[str, ...] = ()
    is_noted: bool = False
    """Whether the runner has written what it did, and not only the end."""
    told: bool = False


class BrokenJob(Exception):
    """A job in the registry that this version cannot read: its id, and why."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"{job}: {why}")
        self.job, self.why = job, why
