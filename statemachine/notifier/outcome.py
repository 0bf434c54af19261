"""How a run ended, as the notifier understands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .job import FailedJob

TOLD = "NightlyEtl.Failed"
"""The error of executions that failed after they told Slack so: the machine's state ``Failed``, and none before it."""

LATE_STATUS = "late"
"""The status of a run that is not published at its deadline, as the deadline's machine sends it: the run may go on."""

NOT_TOLD = "NightlyEtl.NotTold"
"""The error of executions whose run Slack could not be told of, published or not."""

_ENDS = {"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "was aborted"}


@dataclass(frozen=True, slots=True)
class Slow:
    """A table that took long, and how long it took in the median of its last runs (None: there were none)."""

    table: str
    seconds: float
    median_seconds: float | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class FailedTable:
    """A table that was not loaded, and why."""

    table: str
    error: str


@dataclass(frozen=True, slots=True)
class Published:
    """The run that was published last, and the instant that it shows."""

    run_id: str
    snapshot_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What the machine saw: the state that failed, its error and cause; and for containers, the jobs that failed.

    ``jobs`` are those of shards by how they failed, the most frequent ways first, of ``failed`` shards out of ``of``.
    """

    state: str
    error: str
    cause: str
    jobs: tuple[FailedJob, ...] = ()
    failed: int = 0
    of: int | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Failure:
        """Reads the variable ``failure`` of the machine."""
        jobs = given.get("jobs") or ()
        found = tuple(map(FailedJob.of, jobs if isinstance(jobs, Sequence) else [jobs]))
        failed: int = given.get("failed") or 0
        return cls(given["state"], given["error"], given.get("cause") or "", found, failed, given.get("of"))

    @property
    def line(self) -> str:
        """All of it in one line, as the machine tells it the ledger."""
        return f"{self.state}: {self.error}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's end.

    ``status`` is the ledger's, or "unknown" where nobody could ask it; ``end`` is the execution's, empty where the
    machine itself tells. ``failure`` is what failed, ``ledger_error`` what the ledger says of it, ``last`` the run that
    was published last. ``failed`` may be the first ones of ``failed_count``.
    """

    run_id: str
    execution: str
    status: str
    well: bool
    end: str = ""
    failure: Failure | None = None
    ledger_error: str = ""
    last: Published | None = None
    snapshot_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    tables: int | None = None
    rows: int | None = None
    bytes: int | None = None
    slowest: tuple[Slow, ...] = ()
    failed: tuple[FailedTable, ...] = ()
    failed_count: int = 0


def is_event(event: Mapping[str, Any]) -> bool:
    """Tells whether EventBridge sent this, and not the machine."""
    return event.get("detail-type") == "Step Functions Execution Status Change"


def from_machine(event: Mapping[str, Any]) -> Outcome:
    """Reads what the machine's states NotifySuccess and NotifyFailure send."""
    report, failure = event.get("report") or {}, event.get("failure")
    tables = tuple(FailedTable(table["table"], table["error"] or "") for table in report.get("failed") or [])
    last = report.get("last_published")
    return Outcome(
        run_id=event["run_id"],
        execution=event["execution"],
        status=report.get("status") or "unknown",
        well=event["outcome"] == "success",
        failure=Failure.read(failure) if failure else None,
        ledger_error=report.get("error") or "",
        last=Published(last["run_id"], _time(last.get("snapshot_at"))) if last else None,
        snapshot_at=_time(report.get("snapshot_at")),
        started_at=_time(report.get("started_at")),
        finished_at=_time(report.get("finished_at")),
        seconds=report.get("seconds"),
        tables=report.get("tables"),
        rows=report.get("rows"),
        bytes=report.get("bytes"),
        slowest=tuple(
            Slow(slow["table"], slow["seconds"], slow.get("median_seconds"), slow.get("rows"))
            for slow in report.get("slowest") or []
        ),
        failed=tables,
        failed_count=report.get("failed_count") or len(tables),
    )


def from_event(detail: Mapping[str, Any]) -> Outcome:
    """Reads the detail of an event of an execution that ended without telling."""
    run_id, error, cause = detail["name"], detail.get("error") or "", detail.get("cause") or ""
    published = error == NOT_TOLD and cause.startswith(f"Run {run_id} is published")  # as the state NotTold says
    return Outcome(
        run_id=run_id,
        execution=detail["executionArn"],
        status="published" if published else "unknown",
        well=False,
        end=_ENDS[detail["status"]],
        failure=Failure("", error, cause) if error or cause else None,
        started_at=_milliseconds(detail.get("startDate")),
        finished_at=_milliseconds(detail.get("stopDate")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _milliseconds(number: int | None) -> datetime | None:
    return datetime.fromtimestamp(number / 1000, UTC) if number else None
