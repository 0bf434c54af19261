"""The scheduler's Lambdas from their zip, as Lambda runs them: with boto3, and with nothing else installed."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.job import run_name
from scheduler.records import Registered
from statemachine import zips
from tests import cloud
from tests.lambda_runtime import function
from tests.scheduling import Services, job, services

pytestmark = pytest.mark.xdist_group("scheduler_zip")  # one worker, so its fixtures are made once

HANDLERS = ("tick", "runner", "ended")
# -S: no site-packages, so that only what PYTHONPATH names and the zip holds can be imported; the time zones, too.
PYTHON = (sys.executable, "-S")


@pytest.fixture(scope="module")
def served() -> Iterator[Services]:
    """The scheduler's services."""
    with services() as one:
        yield one


@pytest.fixture(scope="module")
def lambdas(served: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The three functions by their names, each in a process of its own."""
    root = tmp_path_factory.mktemp("scheduler")
    with zipfile.ZipFile(zips.build("scheduler", root)) as archive:
        archive.extractall(root / "task")
    _runtime(root / "runtime")
    environment = cloud.account(served.endpoint) | {
        "PYTHONPATH": str(root / "runtime"),
        "PYTHONTZPATH": "",
        "DEPLOYMENT": "nightly-etl-test",
        "JOBS_TABLE": served.table,
        "QUEUE_URL": served.queue_url,
        "STATE_MACHINE_ARN": served.machine_arn,
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                function(f"scheduler.{name}.handler", environment, folder=root / "task", python=PYTHON)
            )
            for name in HANDLERS
        }


def _runtime(folder: Path) -> None:
    """What Lambda's runtime has: its client, and boto3."""
    folder.mkdir()
    for package in zips.with_dependencies(["awslambdaric", "boto3"]):
        for inside, file in zips.installed(package):
            made = folder / inside
            made.parent.mkdir(parents=True, exist_ok=True)
            made.symlink_to(file)


def test_a_due_job_goes_through_all_three(served: Services, lambdas: dict[str, Any]) -> None:
    """Sent by the tick, started by the runner under its due time's name, and its end written."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    served.deployment.registry.put(job("acme", f"{now.minute} {now.hour} * * *", "Etc/UTC"), now - timedelta(minutes=1))
    said = lambdas["tick"].invoke({"detail-type": "Scheduled Event"})
    assert (said["due"], said["sent"], said["moved"]) == (1, 1, 1)

    (message,) = served.client("sqs").receive_message(QueueUrl=served.queue_url)["Messages"]
    told = {"attributes": {"ApproximateReceiveCount": "1"}}
    records = [{"messageId": "1", "body": message["Body"], **told}, {"messageId": "2", "body": "no message", **told}]
    assert lambdas["runner"].invoke({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    name = run_name("acme", now)
    assert served.started() == [name]

    detail = {"name": name, "status": "SUCCEEDED", "stopDate": int(now.timestamp() * 1000)}
    assert lambdas["ended"].invoke({"detail": detail}) == {"settled": True}
    known = served.deployment.registry.get("acme")
    assert isinstance(known, Registered)
    assert (known.counters.started, known.counters.succeeded, known.last_status) == (1, 1, "succeeded")
    assert ("due", "nightly-etl-test") in _metrics(lambdas["tick"].log)
    assert ("late_seconds", "nightly-etl-test") in _metrics(lambdas["runner"].log)


def _metrics(log: str) -> set[tuple[str, str]]:
    """The metrics that CloudWatch makes of a log, each with its deployment: what the module's alarms watch."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {
        (metric["Name"], line["deployment"])
        for line in lines
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
        if directive["Namespace"] == "NightlyEtl/Scheduler" and directive["Dimensions"] == [["deployment"]]
        for metric in directive["Metrics"]
    }
