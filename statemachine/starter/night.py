"""Tells whether a night is published, from Step Functions' list of executions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_EARLY = timedelta(minutes=15)  # two schedules with the same rate() are not due in the same second


@dataclass(frozen=True, slots=True)
class Run:
    """An execution of the nightly state machine."""

    name: str
    execution: str
    status: str
    started: datetime


@dataclass(frozen=True, slots=True)
class Night:
    """A night for the deadline's state machine: whether it is published, and if not, the reason in one sentence."""

    run_id: str
    execution: str | None
    published: bool
    why: str


def night_of(run_date: str, scheduled: datetime, runs: Iterable[Run]) -> Night:
    """The night of this date, scheduled for this moment, judged by the machine's runs.

    A run counts if its name has the date, as the starter names it, or if it began after the scheduled moment: when such
    a run succeeds, its tables are newer than the schedule.
    """
    its = [run for run in runs if _is_of(run, run_date) or run.started >= scheduled - _EARLY]
    if not its:
        return Night(run_date, None, False, f"No run of {run_date} was started.")
    last = max(its, key=lambda run: (run.status == "SUCCEEDED", run.started))
    return Night(last.name, last.execution, last.status == "SUCCEEDED", _why(last, its))


def runs_of(client: Any, machine: str) -> list[Run]:
    """The runs of a state machine that Step Functions still has, up to ninety days old."""
    pages: Iterable[Mapping[str, Sequence[Mapping[str, Any]]]]
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return [
        Run(each["name"], each["executionArn"], each["status"], each["startDate"])
        for page in pages
        for each in page["executions"]
    ]


def _is_of(run: Run, run_date: str) -> bool:
    return run.name == run_date or run.name.startswith(f"{run_date}-")


def _why(last: Run, its: Sequence[Run]) -> str:
    more = f", the last of {len(its)} runs," if len(its) > 1 else ""
    return f"Run {last.name}{more} is {last.status}; it began at {last.started:%Y-%m-%d %H:%M} UTC."
