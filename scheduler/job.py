"""A job: one tenant's copy, on its schedule."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from .cron import Schedule

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
"""A job's id. With a due time it is an execution's name, which Step Functions allows 80 characters."""

SHARDS = 16
"""The partitions of the index of due times. DynamoDB writes 1,000 items a second in one
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html). The number is fixed,
because a tick that asked fewer than there are would lose jobs."""

_RUN_NAME = re.compile(rf"({ID.pattern})-(\d{{8}}T\d{{6}}Z)", re.ASCII)
_DUE = "%Y%m%dT%H%M%SZ"


class Status(StrEnum):
    """Whether a job is started when it is due."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    PAUSED = "paused"
    """It has failed so often in a row that it is not started until somebody enables it."""


class Overlap(StrEnum):
    """What becomes of a due time while the job's last execution is still running."""

    SKIP = "skip"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What becomes of due times that were missed, because nothing ticked or the job had to wait."""

    ONCE = "once"
    """The last of them is started, if it is within the window; the others count as missed."""
    NONE = "none"
    """All count as missed."""


class When(StrEnum):
    """Which ends a job's people get a message about."""

    FAILURE = "failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Notify:
    """Whom a job tells: an SNS topic, and a channel of Slack through the notifier."""

    topic: str | None = None
    slack_channel: str | None = None
    when: When = When.FAILURE


@dataclass(frozen=True, slots=True)
class Job:
    """One tenant's copy.

    ``source`` and ``target`` name the servers that it works on, as many jobs at once as their pools allow.
    ``overrides`` are further fields of the state machine's input. ``pause_after`` failures in a row pause it (0: none).
    """

    id: str
    schedule: Schedule
    settings_path: str
    source: str
    target: str
    status: Status = Status.ENABLED
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.ONCE
    window: timedelta = timedelta(hours=6)
    pause_after: int = 5
    notify: Notify = Notify()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def due_shard(self) -> str:
        """The partition of the index in which the job's due time is."""
        return due_shard(zlib.crc32(self.id.encode()) % SHARDS)

    def input(self, due: datetime) -> dict[str, Any]:
        """The input of the nightly state machine for a due time; its date is that of the job's time zone."""
        day = due.astimezone(self.schedule.timezone).date().isoformat()
        channel = {"slack_channel": self.notify.slack_channel} if self.notify.slack_channel else {}
        return {**self.overrides, **channel, "job": self.id, "run_date": day, "settings_path": self.settings_path}


def due_shard(number: int) -> str:
    """The name of a partition of the index."""
    return f"due#{number:02}"


def run_name(job: str, due: datetime) -> str:
    """The name of the execution of a job for a due time, which is the run's id. The same due time has the same name."""
    return f"{job}-{due.astimezone(UTC):{_DUE}}"


def job_and_due(name: str) -> tuple[str, datetime] | None:
    """The job and the due time of an execution's name; None if it is another execution's."""
    found = _RUN_NAME.fullmatch(name)
    if found is None:
        return None
    try:
        return found[1], datetime.strptime(found[2], _DUE).replace(tzinfo=UTC)
    except ValueError:
        return None
