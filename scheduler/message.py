"""What the scheduler tells the runner through the queue: start this job for this due time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from .job import run_name


class BadMessage(Exception):
    """A text in the queue that no scheduler has sent."""


@dataclass(frozen=True, slots=True)
class Message:
    """A due time of a job, and how often it was put back. ``schedule`` made it due; None if a person did.

    One that ``is_missed`` is not started any more; it is counted, unless an earlier message of it was started.
    """

    job: str
    due: datetime
    schedule: str | None
    waits: int = 0
    is_missed: bool = False

    @property
    def name(self) -> str:
        """The name of the execution that it asks for."""
        return run_name(self.job, self.due)

    def again(self) -> Message:
        """The same, put back once more."""
        return replace(self, waits=self.waits + 1)

    def text(self) -> str:
        """The message's body."""
        written: dict[str, Any] = {
            "job": self.job,
            "due": self.due.isoformat(),
            "schedule": self.schedule,
            "waits": self.waits,
        }
        written |= {"missed": True} if self.is_missed else {}
        return json.dumps(written)

    @classmethod
    def read(cls, text: str) -> Message:
        """A message from its body; raises BadMessage."""
        try:
            found: dict[str, Any] = json.loads(text)
            due = datetime.fromisoformat(found["due"]).astimezone(UTC)
            return cls(str(found["job"]), due, found["schedule"], int(found["waits"]), bool(found.get("missed")))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise BadMessage(f"no message of the scheduler: {error}: {text[:200]}") from None
