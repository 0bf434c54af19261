"""How a run ended, as the notifier understands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TOLD = "NightlyEtl.Failed"
"""The error of executions that failed after they told Slack so: the machine's state ``Failed``, and none before it."""

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
class Outcome:
    """A run's end.

    ``status`` is the ledger's, or "unknown" where nobody could ask it; ``end`` is the execution's, empty where the
    machine itself tells. ``why`` says what failed, ``note`` what the reader should know beside it. ``failed`` may be
    the first ones of ``failed_count``.
    """

    run_id: str
    execution: str
    status: str
    well: bool
    end: str = ""
    why: str = ""
    note: str = ""
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
    report, failure = event.get("report") or {}, event.get("failure") or {}
    well = event["outcome"] == "success"
    failed = f"{failure['state']}: {failure['error']}: {failure['cause']}" if failure else ""
    tables = tuple(FailedTable(table["table"], table["error"] or "") for table in report.get("failed") or [])
    return Outcome(
        run_id=event["run_id"],
        execution=event["execution"],
        status=report.get("status") or "unknown",
        well=well,
        why="" if well else failed or report.get("error") or "",
        note=_note(well, report, failed),
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
    error, cause = detail.get("error"), detail.get("cause")
    return Outcome(
        run_id=detail["name"],
        execution=detail["executionArn"],
        status="unknown",
        well=False,
        end=_ENDS[detail["status"]],
        why=": ".join(text for text in (error, cause) if text),
        note="The state machine could not say what became of the run; `etl history` does.",
        started_at=_milliseconds(detail.get("startDate")),
        finished_at=_milliseconds(detail.get("stopDate")),
    )


def _note(well: bool, report: Mapping[str, Any], failed: str) -> str:
    """Gives what a reader should know of a run that ended otherwise than its states suggest."""
    if well and failed:
        return f"It is published, though the state machine saw this: {failed}"
    if report.get("status") == "published" and failed:
        return "The tables are published; what failed came after."
    if not well and failed and report.get("error"):
        return f"The ledger says: {report['error']}"
    return report.get("error") or ""


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _milliseconds(number: int | None) -> datetime | None:
    return datetime.fromtimestamp(number / 1000, UTC) if number else None
