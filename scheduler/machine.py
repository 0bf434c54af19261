"""The nightly state machine: starts executions by their names, and tells how they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

_THROTTLED = {"ThrottlingException", "ExecutionLimitExceeded"}
"""The SDK has tried again by then. An earlier try may have started the execution all the same."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended: succeeded, failed, timed_out or aborted; when, and of what."""

    status: str
    at: datetime
    error: str | None


class Throttled(Exception):
    """Step Functions starts no more executions for now."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine of Step Functions."""

    client: Any
    arn: str

    # docs/decisions.md, "The name of an execution makes once, not a lock"
    def start(self, name: str, content: Mapping[str, Any]) -> bool:
        """Starts the execution of this name; returns False if there was one of this name, within ninety days.

        While one of this name and input is running, the answer is that one, as if it were started now
        (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html). Raises Throttled.
        """
        try:
            self.client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(content, sort_keys=True))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _THROTTLED and self.is_running(name) is None:
                raise Throttled(str(error)) from None
            if code in {*_THROTTLED, "ExecutionAlreadyExists"}:
                return False
            raise
        return True

    def is_running(self, name: str) -> bool | None:
        """Whether the execution of this name is running; None if there is none."""
        found = self._described(name)
        return None if found is None else found["status"] == "RUNNING"

    def ended(self, name: str) -> Ended | None:
        """How the execution of this name ended; None if it is running, or if there is none."""
        found = self._described(name)
        if found is None or found["status"] == "RUNNING":
            return None
        return ended(found["status"], found.get("stopDate"), found.get("error"), found.get("cause"))

    def execution(self, name: str) -> str:
        """The ARN of the execution of this name."""
        return f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"

    def _described(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client.describe_execution(executionArn=self.execution(name))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None
        return found


def ended(status: str, at: datetime | None, error: str | None, cause: str | None) -> Ended:
    """An end, as Step Functions tells it; the cause is cut to what a line can have."""
    said = ": ".join(text for text in (error, " ".join((cause or "").split())[:500]) if text)
    return Ended(status.lower(), at or datetime.now(UTC), said or None)
