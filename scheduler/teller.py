"""Tells a job's people of its ends: the job's SNS topic, and its channel of Slack through the notifier."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .job import Job
from .log import line
from .machine import Ended

_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "EndpointDisabled",
    "InvalidParameter",
    "InvalidParameterException",
    "InvalidParameterValue",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
    "KMSDisabled",
    "KMSDisabledException",
    "KMSNotFound",
    "KMSNotFoundException",
    "NotFound",
    "NotFoundException",
    "ResourceNotFoundException",
}
"""Errors about a topic, or about the notifier, that no repeated call mends
(https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html)."""


@dataclass(frozen=True, slots=True)
class Teller:
    """SNS, and the notifier of the state machine; None if there is none."""

    sns: Any
    functions: Any
    notifier: str | None

    def end(self, job: Job, name: str, end: Ended) -> None:
        """Tells a topic of a run's end. Slack hears of it from the state machine itself."""
        if job.notify.topic:
            subject = f"nightly-etl: {job.id} {end.status}"
            self._publish(job, subject, {"run": name, "status": end.status, "error": end.error})

    def paused(self, job: Job, execution: str, failures: int, error: str | None) -> None:
        """Tells that a job is paused, because it has failed so many times in a row."""
        what = {"job": job.id, "failures": failures, "error": error, "remedy": f"nightly-jobs enable {job.id}"}
        if job.notify.topic:
            self._publish(job, f"nightly-etl: {job.id} is paused", what)
        if self.notifier:
            channel = {"slack_channel": job.notify.slack_channel} if job.notify.slack_channel else {}
            payload = json.dumps({"outcome": "paused", "execution": execution, **what, **channel})
            if refusal := _refusal(
                lambda: self.functions.invoke(FunctionName=self.notifier, InvocationType="Event", Payload=payload)
            ):
                line("notifier.refused", job=job.id, notifier=self.notifier, error=refusal)

    def _publish(self, job: Job, subject: str, content: Mapping[str, Any]) -> None:
        topic, message = job.notify.topic, json.dumps(dict(content), indent=2)
        if refusal := _refusal(lambda: self.sns.publish(TopicArn=topic, Subject=subject[:100], Message=message)):
            line("topic.refused", job=job.id, topic=topic, error=refusal)


def _refusal(call: Callable[[], Any]) -> str | None:
    """Tells somebody; returns why that is refused for good, which counts as told: nobody else is told twice for it."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _REFUSED:
            raise
        return " ".join(str(error).split())
    return None
