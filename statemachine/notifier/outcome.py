"""The end of a run, as the notifier understands it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .job import FailedJob

TOLD = "NightlyEtl.Failed"
"""The error of executions that failed after they had told Slack; the state ``Failed`` sets it."""

LATE_STATUS = "late"
"""The status of a run that is not published at its deadline, sent by the deadline's machine. The run may go on."""

NOT_TOLD = "NightlyEtl.NotTold"
"""The error of executions that could not tell Slack how their run ended, whether it was published or not."""

STOPPED_STATUS = "stopped"
"""The ledger's status of a run that was stopped before its publish, because tables have too few rows."""

REFUSED_STATUS = "refused"
"""The status of an execution whose input names a job badly, or no job where it must; the state InputRefused sets it."""

BAD_INPUT_ERROR = "NightlyEtl.BadInput"
"""The error of such an execution."""

TOO_FEW_ROWS_ERROR = "RunStopped"
"""The error of the function ``publish`` for such a run."""

_ENDS = {"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "was aborted"}


@dataclass(frozen=True, slots=True)
class Slow:
    """A slow table: its seconds, and the median seconds of its last runs (None if there were none)."""

    table: str
    seconds: float
    median_seconds: float | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class FailedTable:
    """A table that was not loaded, and the error."""

    table: str
    error: str


@dataclass(frozen=True, slots=True)
class Published:
    """The last published run, and the instant of its snapshot."""

    run_id: str
    snapshot_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as the machine saw it: the failed state, its error and cause; and the failed jobs of containers.

    ``jobs`` are those of shards, one for each way of failing, the most frequent ways first; ``failed`` of ``of`` shards
    failed.
    """

    state: str
    error: str
    cause: str
    jobs: tuple[FailedJob, ...] = ()
    failed: int = 0
    of: int | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Failure:
        """Reads the machine's variable ``failure``."""
        jobs = given.get("jobs") or ()
        found = tuple(map(FailedJob.of, jobs if isinstance(jobs, Sequence) else [jobs]))
        failed: int = given.get("failed") or 0
        return cls(given["state"], given["error"], given.get("cause") or "", found, failed, given.get("of"))

    @property
    def line(self) -> str:
        """The failure in one line, as the machine writes it into the ledger."""
        return f"{self.state}: {self.error}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The job whose run it is, the path of its settings, and the channel that hears of it; each empty if unknown."""

    job: str = ""
    settings_path: str = ""
    channel: str = ""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Owner:
        """Reads an execution's input, or a payload that has the same fields. What is not a text counts as unknown."""
        texts = (given.get(name) for name in ("job", "settings_path", "slack_channel"))
        return cls(*(text if isinstance(text, str) else "" for text in texts))

    @classmethod
    def of_input(cls, text: str) -> Owner:
        """Reads an execution's input, which is a text that should be JSON."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            return NOBODY
        return cls.read(given) if isinstance(given, Mapping) else NOBODY


NOBODY = Owner()
"""The owner of a run of the deployment itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    ``status`` is the ledger's, or "unknown" if the ledger could not be read. ``end`` is the execution's, empty if the
    machine itself calls the notifier. ``failure`` is the machine's view, ``ledger_error`` the ledger's. ``last`` is the
    last published run. ``failed`` has the first of ``failed_count`` tables. ``kept_until`` is how long a stopped run
    can be let pass. ``owner`` is the job whose run it is, if one deployment serves many. ``page`` is the address of the
    run's page in S3, ``page_error`` why it could not be written; both are empty without a bucket for pages.
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
    kept_until: datetime | None = None
    owner: Owner = NOBODY
    page: str = ""
    page_error: str = ""

    @property
    def job(self) -> str:
        """The job's name; empty for a run of the deployment itself."""
        return self.owner.job


def is_event(event: Mapping[str, Any]) -> bool:
    """Tells whether EventBridge sent this event, rather than the machine."""
    return event.get("detail-type") == "Step Functions Execution Status Change"


def from_machine(event: Mapping[str, Any]) -> Outcome:
    """Reads the input from the machine's states NotifySuccess and NotifyFailure."""
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
        kept_until=_time(report.get("kept_until")),
        owner=Owner.read(event),
        page=report.get("page") or "",
        page_error=report.get("page_error") or "",
    )


def from_event(detail: Mapping[str, Any]) -> Outcome:
    """Reads the detail of an event about an execution that ended without telling Slack."""
    run_id, error, cause = detail["name"], detail.get("error") or "", detail.get("cause") or ""
    published = error == NOT_TOLD and cause.startswith(f"Run {run_id} is published")  # set by the state NotTold
    return Outcome(
        run_id=run_id,
        execution=detail["executionArn"],
        status="published" if published else "unknown",
        well=False,
        end=_ENDS[detail["status"]],
        failure=Failure("", error, cause) if error or cause else None,
        started_at=_milliseconds(detail.get("startDate")),
        finished_at=_milliseconds(detail.get("stopDate")),
        owner=Owner.of_input(detail.get("input") or ""),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _milliseconds(number: int | None) -> datetime | None:
    return datetime.fromtimestamp(number / 1000, UTC) if number else None
