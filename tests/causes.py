"""Failed nights as Step Functions reports them, in the documented shapes, with the whole Slack message for each.

``python -m tests.causes`` writes all messages into docs/slack-messages.md. With ``--check`` it writes nothing, and ends
with status 1 if the page is out of date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from etl.model import gate
from etl.model.gate import Count, Finding
from statemachine.definition import nightly, tasks
from statemachine.notifier.deployment import Deployment
from statemachine.notifier.links import Console
from statemachine.notifier.message import message
from statemachine.notifier.outcome import from_event, from_machine
from statemachine.notifier.paused import Paused, message_of
from tests.asl import value
from tests.described import batch, codebuild, ecs
from tests.machine import NAMES

PAGE = Path(__file__).parents[1] / "docs" / "slack-messages.md"

RUN = "2026-11-22"
EXECUTION = f"arn:aws:states:eu-central-1:123456789012:execution:prod:{RUN}"
CONSOLE = Console.of(EXECUTION, "/prod/etl")
DEPLOYMENT = Deployment(
    "prod", "prod-starter", "prod-publish", "https://github.com/example/nightly-etl/blob/main/docs/operations.md"
)

REPORT = {
    "run_id": RUN,
    "status": "failed",
    "snapshot_at": "2026-11-22T02:00:03+00:00",
    "started_at": "2026-11-22T02:00:00+00:00",
    "finished_at": "2026-11-22T02:09:30+00:00",
    "seconds": 570.0,
    "tables": 20,
    "rows": 12_345_678,
    "bytes": 1_234_567_890,
    "slowest": [],
    "failed": [],
    "failed_count": 0,
    "last_published": {"run_id": "2026-11-21", "snapshot_at": "2026-11-21T02:00:03+00:00"},
    "page": f"s3://prod-reports-20261101/nights/{RUN}.html",
    "page_error": None,
}
"""The ledger's report of the night, without the error, which the state Abort copies from the machine's failure."""

_ECS = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"
_BATCH = "https://docs.aws.amazon.com/batch/latest/userguide"
_CODEBUILD = "https://docs.aws.amazon.com/codebuild/latest/userguide"
_STOPPED = f"{_ECS}/stopped-task-error-codes.html"
_ERRORS = "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"
_PULL = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref"
    " 123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl:1.0.0: not found"
)
_SECRETS = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable"
    " to retrieve secrets from ssm: service call has been retried 1 time(s): AccessDeniedException: User: arn:aws:sts::"
    "123456789012:assumed-role/prod-execution/0f9de17a6465404e8b1b2356dc13c2f8 is not authorized to perform:"
    " ssm:GetParameters"
)
_LOGS = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to"
    " create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1"
)
_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_HOST = "Host EC2 (instance i-0a1b2c3d4e5f60718) terminated."
_NETWORK = "Timeout waiting for network interface provisioning to complete."
_START = "CannotStartContainerError: failed to get container status: context deadline exceeded"
_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
_FULL = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
_DEAD = (
    "Build container found dead before completing the build. Build container died because it was out of memory, or the"
    " Docker image is not supported. ErrorCode: 500"
)

TABLES = [{"table": "public.orders", "error": "division by zero"}]


@dataclass(frozen=True, slots=True)
class Example:
    """A failed night: the ``cause`` that Step Functions got for a job, and the address of its documentation.

    ``shards`` of ``of`` shards failed with this cause. If ``shards`` is empty, the snapshot's holder failed. ``others``
    are shards that failed with other causes.
    """

    title: str
    service: str
    documented: str
    cause: Mapping[str, Any] | str
    error: str = "States.TaskFailed"
    shards: Sequence[int] = (1,)
    of: int = 4
    others: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    most: int = 32_768
    """The number of characters after which Step Functions cut the cause."""

    @property
    def text(self) -> str:
        """The cause as text."""
        text = self.cause if isinstance(self.cause, str) else json.dumps(self.cause, separators=(",", ":"))
        return text[: self.most]


_GONE = {"error": "the source's snapshot 00000003-1 is gone: the process that held it for run 2026-11-22 has ended"}
_LOST = {
    "error": "the source ended the session that held the snapshot of run 2026-11-22: terminating connection",
    "failed": [{"table": "public.orders", "error": "the source's snapshot 00000003-1 is gone"}],
    "failed_count": 1,
}
_COPY = {"failed": TABLES, "failed_count": 1}
_OTHER = {
    "error": "States.TaskFailed",
    "job": {"reason": "Essential container in task exited", "exit": 1, "log": "etl/default/9b1f"},
}


def _batch(title: str, page: str, cause: Mapping[str, Any] | str, **given: Any) -> Example:
    return Example(f"Batch: {title}", "batch", page, cause, **given)


def _ecs(title: str, page: str, cause: Mapping[str, Any] | str, **given: Any) -> Example:
    return Example(f"Fargate: {title}", "ecs", page, cause, **given)


def _codebuild(title: str, page: str, cause: Mapping[str, Any] | str, **given: Any) -> Example:
    return Example(f"CodeBuild: {title}", "codebuild", page, cause, **given)


def _never_started(stopped_reason: str, reason: str | None = None) -> Mapping[str, Any]:
    return ecs(stopped_reason=stopped_reason, stop_code="TaskFailedToStart", reason=reason)


def _canceled(reason: str) -> Mapping[str, Any]:
    return batch(status_reason=f"Canceled by JobStateTimeLimit action due to reason: {reason}")


_INTERRUPTED = "Your Spot Task was interrupted."
_EXITS = "https://repost.aws/knowledge-center/ecs-task-stopped"
_SPOT_RETRY = "https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/"

EXAMPLES = (
    _batch(
        "no image", f"{_ECS}/task_cannot_pull_image.html", batch(status_reason="Task failed to start", reason=_PULL)
    ),
    _batch("no secrets", _STOPPED, batch(status_reason=_SECRETS), shards=(0, 1, 2, 3)),
    _batch("out of memory", f"{_ECS}/out-of-memory.html", batch(exit_status=137, reason=_MEMORY)),
    _batch(
        "Spot",
        _SPOT_RETRY,
        batch(status_reason=_HOST, exit_status=143),
        shards=(0, 1, 2),
        others={3: _OTHER},
        report=_COPY,
    ),
    _batch("no host in time", f"{_BATCH}/job_stuck_in_runnable.html", _canceled(_FULL), shards=(), of=1),
    _batch("no capacity in time", f"{_BATCH}/job_stuck_in_runnable.html", _canceled(_CAPACITY), shards=(0, 2, 3)),
    _batch(
        "out of time",
        f"{_BATCH}/job_timeouts.html",
        batch(exit_status=137, status_reason="Job attempt duration exceeded timeout"),
    ),
    _batch("a copy failed", _EXITS, batch(exit_status=1), report=_COPY),
    _batch("bad settings", _EXITS, batch(exit_status=2), shards=(), of=1),
    _batch("killed", _EXITS, batch(exit_status=137), shards=(2,)),
    _batch("stopped", _EXITS, batch(exit_status=143), shards=(0, 1)),
    _batch("the holder's host is taken", _SPOT_RETRY, batch(status_reason=_HOST), shards=(), of=1, report=_GONE),
    _batch("the holder loses the snapshot", _EXITS, batch(exit_status=1), shards=(), of=1, report=_LOST),
    _batch(
        "not taken", _ERRORS, "Rate exceeded (Service: AWSBatch; Status Code: 429)", error="Batch.AWSBatchException"
    ),
    _batch(
        "a cause that was cut",
        f"{_BATCH}/job_timeouts.html",
        batch(exit_status=1, tables="x" * 9000),
        most=2000,
        report=_COPY,
    ),
    _ecs("no image", f"{_ECS}/task_cannot_pull_image.html", _never_started(_PULL, _PULL)),
    _ecs("no secrets", _STOPPED, _never_started(_SECRETS)),
    _ecs("no log group", _STOPPED, _never_started(_LOGS)),
    _ecs("no network interface", _STOPPED, _never_started(_NETWORK)),
    _ecs("out of memory", f"{_ECS}/out-of-memory.html", ecs(exit_status=137, stopped_reason=_MEMORY, reason=_MEMORY)),
    _ecs(
        "Spot",
        f"{_ECS}/fargate-capacity-providers.html",
        ecs(exit_status=143, stopped_reason=_INTERRUPTED, stop_code="SpotInterruption"),
    ),
    _ecs("a copy failed", _EXITS, ecs(exit_status=1), report=_COPY),
    _ecs("bad settings", _EXITS, ecs(exit_status=2), shards=(), of=1),
    _ecs("stopped", _EXITS, ecs(exit_status=143, stopped_reason="Task stopped by user", stop_code="UserInitiated")),
    _ecs("out of time", _ERRORS, "", error="States.Timeout"),
    _ecs("another reason", _STOPPED, _never_started(_START)),
    _codebuild(
        "no image",
        f"{_CODEBUILD}/troubleshooting.html",
        codebuild(
            phase="PROVISIONING",
            status_code="BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
            message="Unable to pull customer's container image",
        ),
    ),
    _codebuild(
        "no network interface",
        f"{_CODEBUILD}/sample-efs-troubleshooting.html",
        codebuild(
            phase="PROVISIONING",
            status_code="VPC_CLIENT_ERROR",
            message="Unexpected EC2 error: UnauthorizedOperation",
        ),
    ),
    _codebuild(
        "out of memory",
        f"{_CODEBUILD}/troubleshooting.html",
        codebuild(status="FAULT", status_code="INTERNAL_SERVICE_ERROR", message=_DEAD),
    ),
    _codebuild(
        "out of time",
        f"{_CODEBUILD}/concepts.html",
        codebuild(status="TIMED_OUT", status_code="BUILD_TIMED_OUT", message="Build has timed out."),
    ),
    _codebuild(
        "a copy failed", f"{_CODEBUILD}/build-env-ref-background-tasks.html", codebuild(exit_status=1), report=_COPY
    ),
    _codebuild("bad settings", f"{_CODEBUILD}/troubleshooting.html", codebuild(exit_status=2), shards=(), of=1),
)
"""An example for each cause and each service that reports it."""

_BLOCKED = "the live tables were in use for 600 s, so nothing was published; held by session 4711 of metabase"
_SHRUNK = [
    Finding(Count("public.orders", "public", "orders", 0, 1_204_771, "2026-11-21"), 'shrink_at_most = "50%"'),
    Finding(Count("sales.invoice", "sales", "invoice", 40_112, 98_700, "2026-11-21"), 'shrink_at_most = "50%"'),
    Finding(Count("sales.rates", "sales", "rates", 3), "rows_min = 100"),
]
_TOO_FEW = gate.said(RUN, _SHRUNK, datetime(2026, 11, 23, 2, 9, 30, tzinfo=UTC))
_NOT_KEPT = gate.said(RUN, _SHRUNK[:1], None)
_NOT_WRITTEN = (
    f"ETL_REPORT_BUCKET prod-reports-20261101: nights/{RUN}.html: AccessDenied: User: arn:aws:sts::123456789012:"
    "assumed-role/prod-report/prod-report is not authorized to perform: s3:PutObject; let the function's role"
    " s3:PutObject on it and, if a KMS key encrypts the bucket, kms:GenerateDataKey on that key"
)
_FAILURES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "A plan that cannot be made": (
        {"state": "Plan", "error": "ConfigurationError", "cause": "TABLES: public.ordres is not in the source"},
        {"rows": 0, "bytes": 0, "tables": 0, "snapshot_at": None},
    ),
    "Readers that block the publish": ({"state": "Publish", "error": "PublishBlocked", "cause": _BLOCKED}, {}),
    "A run that was stopped for too few rows": (
        {"state": "Publish", "error": "RunStopped", "cause": _TOO_FEW},
        {"status": "stopped", "error": f"{_TOO_FEW[:499]}…", "kept_until": "2026-11-23T02:09:30+00:00"},
    ),
    "A stopped run whose staging tables are not kept": (
        {"state": "Publish", "error": "RunStopped", "cause": _NOT_KEPT},
        {"status": "stopped", "error": _NOT_KEPT, "kept_until": None},
    ),
    "A ledger that could not be read": (
        {"state": "Publish", "error": "ConnectionFailed", "cause": "the reporting database cannot be reached"},
        {
            "status": "unknown",
            "error": "The ledger could not be read: ConnectionFailed: the reporting database …",
            "page": None,
        },
    ),
    "A run that is under way at its deadline": (
        {
            "state": "Deadline",
            "error": "NightlyEtl.NotPublished",
            "cause": f"Run {RUN} is RUNNING; it began at {RUN} 02:00 UTC. It was to be published 180 minutes after its"
            " schedule.",
        },
        dict.fromkeys(["rows", "bytes", "tables", "snapshot_at", "finished_at", "seconds"]) | {"status": "late"},
    ),
    "A run that failed before its deadline": (
        {
            "state": "Deadline",
            "error": "NightlyEtl.NotPublished",
            "cause": f"Run {RUN} is FAILED; it began at {RUN} 02:00 UTC. It was to be published 180 minutes after its"
            " schedule.",
        },
        dict.fromkeys(["rows", "bytes", "tables", "snapshot_at", "finished_at", "seconds"]) | {"status": "late"},
    ),
    "A run that was never started": (
        {
            "state": "Deadline",
            "error": "NightlyEtl.NotPublished",
            "cause": f"No run of {RUN} was started. It was to be published 180 minutes after its schedule.",
        },
        dict.fromkeys(["rows", "bytes", "tables", "snapshot_at", "finished_at", "seconds", "page", "last_published"])
        | {"status": "late"},
    ),
    "A transform that failed": (
        {"state": "Transform", "error": "States.TaskFailed", "cause": "dbt test: 2 of 40 failed"},
        {"status": "published", "error": None},
    ),
    "A failed night whose page could not be written": (
        {"state": "Publish", "error": "PublishBlocked", "cause": _BLOCKED},
        {"page": None, "page_error": _NOT_WRITTEN},
    ),
}
"""Failures outside the containers: the machine's variable ``failure``, and the ledger's report."""

_EVENTS = {
    "An execution that timed out": {"status": "TIMED_OUT"},
    "A run of which Slack could not be told": {
        "status": "FAILED",
        "error": "NightlyEtl.NotTold",
        "cause": f"Run {RUN} is published, and Slack could not be told: NotTold: Slack's webhook answered 404: gone",
    },
}
"""The events that EventBridge sends to the notifier when the machine could not."""


def messages() -> dict[str, dict[str, Any]]:
    """The message for each example, by the example's title."""
    return {
        **{example.title: _told(payload(example)) for example in EXAMPLES},
        **{title: _told(notified(failure, report)) for title, (failure, report) in _FAILURES.items()},
        **{title: _told_of_event(detail) for title, detail in _EVENTS.items()},
        **{title: _told(event) for title, event in _JOBS.items()},
        "A job is paused": message_of(Paused.read(_PAUSED), DEPLOYMENT),
    }


def payload(example: Example) -> dict[str, Any]:
    """The notifier's input. The definition's own expressions make it from the cause."""
    return notified(failure(example), example.report)


def failure(example: Example) -> dict[str, Any]:
    """The state machine's variable ``failure`` after a cause. The definition's own expressions make it."""
    said = {"Error": example.error, "Cause": example.text}
    if example.shards:
        plan = {"shards": [{"shard": shard} for shard in range(example.of)]}
        items = [_item(example, shard, plan, said) for shard in range(example.of)]
        return loaded(example.service, "ShardsFailed", items)
    return loaded(example.service, "SnapshotFailed", None, held(example.service, said))


def _item(example: Example, shard: int, plan: Any, said: Any) -> dict[str, Any]:
    """The input of one shard in the state machine's Map."""
    if shard in example.others:
        return {"shard": shard, **example.others[shard]}
    return shard_failed(example.service, shard, plan, said) if shard in example.shards else {"shard": shard}


def shard_failed(service: str, shard: int, plan: Any, said: Mapping[str, str]) -> dict[str, Any]:
    """The output of the state Shard for an error."""
    (caught,) = definition_of(service).tasks["Shard"]["Catch"]
    found: dict[str, Any] = value(caught["Output"], {"shard": shard, "plan": plan, "states": {"errorOutput": said}})
    return found


def held(service: str, said: Mapping[str, str]) -> dict[str, Any]:
    """The variables that the state Snapshot sets for an error."""
    (caught,) = definition_of(service).tasks["Snapshot"]["Catch"]
    plan = {"shards": [{"shard": 0}]}
    found: dict[str, Any] = value(caught["Assign"], {"plan": plan, "states": {"errorOutput": said}})
    return found


def loaded(service: str, failed: str, given: Any, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The variable ``failure`` after the state ``failed`` of a branch of Load, for this input of the branch."""
    load = definition_of(service).load
    (state,) = (branch["States"][failed] for branch in load["Branches"] if failed in branch["States"])
    cause = value(state["Cause"], {**(variables or {}), "states": {"input": given}})
    said = {"Error": state["Error"], "Cause": cause}
    found: dict[str, Any] = value(load["Catch"][0]["Assign"]["failure"], {"states": {"errorOutput": said}})
    return found


def notified(failure: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """The input that NotifyFailure sends for a failure; ``report`` overrides fields of the usual report."""
    said = {"error": f"{failure['state']}: {failure['error']}: {failure['cause']}"[:500]}
    variables = {
        "run_id": RUN,
        "failure": failure,
        "report": {"run_id": RUN, **report} if report.get("status") == "unknown" else {**REPORT, **said, **report},
        "states": {"context": {"Execution": {"Id": EXECUTION}}},
    }
    sent: dict[str, Any] = value(definition_of("batch").tasks["NotifyFailure"]["Arguments"]["Payload"], variables)
    return sent


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition: its tasks by name, and the state Load."""

    tasks: Mapping[str, Any]
    load: Mapping[str, Any]


_ACME = {"job": "acme", "settings_path": "/nightly-etl/jobs/acme", "slack_channel": "C0123"}
_JOB_RUN = "acme-20261128T020000Z"
_DOWN = (
    "the operational database cannot be reached: connection to server at 10.0.0.7, port 5432 failed: Connection refused"
)
_BAD_INPUT = "job is given, and settings_path is not; give both, or neither"


def _of_job(state: str, error: str, cause: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """The notifier's input for an execution of a job."""
    failure = {"state": state, "error": error, "cause": cause}
    return {"outcome": "failure", "run_id": _JOB_RUN, "execution": EXECUTION, "failure": failure, "report": report}


_JOBS = {
    "A job of many fails": _of_job(
        "Plan",
        "ConnectionFailed",
        _DOWN,
        {
            **REPORT,
            "run_id": _JOB_RUN,
            "error": f"Plan: ConnectionFailed: {_DOWN}",
            "rows": 0,
            "bytes": 0,
            "last_published": {"run_id": "acme-20261127T020000Z", "snapshot_at": "2026-11-27T02:00:03+00:00"},
            "page": f"s3://prod-reports-20261101/jobs/acme/{_JOB_RUN}.html",
        },
    )
    | _ACME,
    "An execution's input is wrong": _of_job(
        "Begin", "NightlyEtl.BadInput", _BAD_INPUT, {"run_id": _JOB_RUN, "status": "refused"}
    )
    | {"job": "acme"},
}

_PAUSED = {
    "outcome": "paused",
    "job": "acme",
    "failures": 5,
    "execution": EXECUTION,
    "error": f"Plan: ConnectionFailed: {_DOWN}",
    "slack_channel": "C0123",
}


@cache
def definition_of(service: str) -> Definition:
    """The definition for a service."""
    states = json.loads(nightly(service, NAMES))["States"]
    return Definition(tasks(states), states["Load"])


def _told(payload: Mapping[str, Any]) -> dict[str, Any]:
    return message(from_machine(payload), CONSOLE, DEPLOYMENT)


def _told_of_event(detail: Mapping[str, Any]) -> dict[str, Any]:
    return message(from_event({"name": RUN, "executionArn": EXECUTION, **detail}), CONSOLE, DEPLOYMENT)


_CONSOLE_LINK = re.compile(r"(<https://[\w-]+\.console\.aws\.amazon\.com/)[^|]+")


def shown(posted: Mapping[str, Any]) -> str:
    """A message as text: its blocks one below the other, then the notification's text."""
    parts = [f"notification: {posted['text']}"]
    for block in posted["blocks"]:
        if "fields" in block:
            parts.append("\n".join(field["text"].replace("\n", " ") for field in block["fields"]))
        elif "elements" in block:
            parts.append(" ".join(element["text"] for element in block["elements"]))
        else:
            parts.append(block["text"]["text"])
    return _CONSOLE_LINK.sub(r"\1…", "\n\n".join(parts))


def page() -> str:
    """The content of docs/slack-messages.md."""
    documented = {example.title: example.documented for example in EXAMPLES}
    sections = [
        f"## {title}\n\n"
        + (f"[As documented]({documented[title]}).\n\n" if title in documented else "")
        + f"````text\n{shown(posted)}\n````\n"
        for title, posted in messages().items()
    ]
    return f"{_HEAD}\n" + "\n".join(sections)


_HEAD = """# Slack's messages

<!-- written by make messages -->
The notifier's message for each cause of a failed night, block by block. Each cause has the shape that AWS documents. It
goes through the expressions of the [state machine](state-machine.md) and through the notifier. Links into the console
are shortened. `make messages` writes this page, and a test fails if it is stale. The
[runbook](operations.md#why-a-container-failed) says what to do about each cause.
"""


def main(check: bool) -> int:
    """Writes the page, or with ``check`` only compares it; returns the exit status."""
    new = page()
    if check and new != PAGE.read_text():
        print("docs/slack-messages.md is not what the notifier says; run `make messages`", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
