"""Tells a job's people of its ends: the job's SNS topic, and its channel of Slack through the notifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .job import Job
from .log import line
from .machine import Ended

_REFUSED = {
    "AccessDenied",
    "AuthorizationError",
    "AuthorizationErrorException",
    "EndpointDisabled",
    "InvalidParameter",
    "InvalidParameterException",
    "InvalidParameterValue",
    "KMSAccessDenied",
    "KMSDisabled",
    "KMSNotFound",
    "NotFound",
    "NotFoundException",
}
"""SNS's errors about a topic that no repeated call mends (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""


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
            payload = {"outcome": "paused", "execution": execution, **what, **channel}
            self.functions.invoke(FunctionName=self.notifier, InvocationType="Event", Payload=json.dumps(payload))

    def _publish(self, job: Job, subject: str, content: Mapping[str, Any]) -> None:
        """Tells the job's topic. One that refuses is logged, and counts as told: one job's topic stops nothing else."""
        message = json.dumps(dict(content), indent=2)
        try:
            self.sns.publish(TopicArn=job.notify.topic, Subject=subject[:100], Message=message)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _REFUSED:
                raise
            line("topic.refused", job=job.id, topic=job.notify.topic, error=" ".join(str(error).split()))
