"""A deployment on one machine: the state machine, its Lambdas, its jobs, two databases, and Slack."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from servers.programs import wheel_bin
from statemachine import zips
from statemachine.definition import COMPUTE, batches, nightly
from tests import cloud
from tests.harness import Database
from tests.jobs import Job, Jobs, Start
from tests.lambda_runtime import Function, function
from tests.machine import NAMES
from tests.situations import until
from tests.slack import TOKEN, Slack, slack
from tests.stepfunctions import Ended, Functions, StepFunctions, interpreter

HANDLERS = {
    "plan": "etl.functions.plan",
    "publish": "etl.functions.publish",
    "abort": "etl.functions.abort",
    "report": "etl.functions.report",
    "copy-batch": "etl.functions.copy_batch",
}

PUBLISH_DEADLINE = 2
"""Seconds after which the nights' publish gives up on readers."""

SMALL = 16
"""The number of small tables beside pgbench's four."""

_SLACK = "/nightly-etl/test/slack"


class Rows(Protocol):
    """A database that a test can query."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Executes a query and returns its rows."""


@dataclass(slots=True)
class Nights:
    """The whole deployment; ``machines`` by the service that runs the container, and "batches"."""

    aws: StepFunctions
    machines: dict[str, str]
    functions: Functions
    jobs: Jobs
    slack: Slack
    bucket: str = ""
    """The bucket of the nights' pages; empty without one."""
    running: dict[str, Function] = field(default_factory=dict)

    def night(self, run_id: str, compute: str = "batch", **given: object) -> Ended:
        """Runs a night to its end."""
        return self.aws.ended(self.start(run_id, compute, **given))

    def start(self, run_id: str, compute: str = "batch", **given: object) -> str:
        """Starts a night; returns the execution's ARN."""
        return self.aws.start(self.machines[compute], run_id, **given)

    def told(self, run_id: str) -> str:
        """The headline of the only message about a run."""
        (headline,) = self.slack.of_run(run_id)
        return headline

    def page(self, run_id: str) -> str:
        """The page of a run in its bucket, to which the only message about the run links."""
        key = f"nights/{run_id}.html"
        assert f"/s3/object/{self.bucket}?region=eu-central-1" in self.slack.text_of(run_id)
        assert f"prefix={key}|The night on one page>" in self.slack.text_of(run_id)
        body = cloud.client("s3", self.aws.endpoint).get_object(Bucket=self.bucket, Key=key)["Body"]
        return str(body.read().decode())

    def tell(self, ended: Ended) -> None:
        """Passes an execution that failed, timed out or was aborted to the notifier, as EventBridge's rule does."""
        assert ended.status in {"FAILED", "TIMED_OUT", "ABORTED"}
        if ended.status != "FAILED":
            self.functions["abort"]({"run_id": ended.name, "error": f"the execution {ended.status}"})
        self.functions["notifier"](ended.event)

    def stopped(self, run_id: str) -> list[Job]:
        """Waits for the end of all of a run's jobs; returns the jobs."""
        jobs = self.jobs.of_run(run_id)
        until(lambda: all(job.has_ended() for job in jobs), f"the end of the jobs of {run_id}")
        return jobs


@contextmanager
def deployed(urls: Mapping[str, str], start: Start, job_urls: Mapping[str, str], folder: Path) -> Iterator[Nights]:
    """Deploys everything for as long as the block lasts.

    Takes the variables that lead the Lambdas to the two databases, the function that starts a job, and the variables
    that lead the jobs to the databases.
    """
    functions: Functions = {}
    jobs = Jobs(start, {**job_urls, "ETL_JOBS": "2"})
    with ExitStack() as stack:
        aws = stack.enter_context(interpreter(functions, jobs))
        served = stack.enter_context(slack())
        machines = {kind: aws.machine(f"nightly-{kind}", nightly(kind, NAMES)) for kind in COMPUTE}
        machines["batches"] = aws.machine("batches", batches(NAMES))
        nights = Nights(aws, machines, functions, jobs, served, _bucket(aws, served))
        inside = {**urls, "TABLES": "public.*", "ETL_PUBLISH_DEADLINE": str(PUBLISH_DEADLINE)}
        own = {"report": {**cloud.account(aws.endpoint), "ETL_REPORT_BUCKET": nights.bucket}}
        for name, handler in HANDLERS.items():
            nights.running[name] = stack.enter_context(function(handler, inside | own.get(name, {})))
        nights.running["notifier"] = stack.enter_context(_notifier(aws, served, folder))
        functions.update({name: running.invoke for name, running in nights.running.items()})
        stack.callback(_end, jobs)
        yield nights


JOBS_PATH = "/nightly-etl/jobs"
"""The path of all jobs' settings, in a deployment of jobs."""

JOBS_ROLE = "arn:aws:iam::123456789012:role/nightly-etl-job-settings"


@contextmanager
def deployed_for_jobs(start: Start, folder: Path) -> Iterator[Nights]:
    """Deploys one state machine for many jobs, as ``deployed`` does for one night; a bot posts to Slack.

    Neither the Lambdas nor the jobs' containers have settings of their own: each execution names a job.
    """
    functions: Functions = {}
    jobs = Jobs(start, {"ETL_JOBS": "2"})
    with ExitStack() as stack:
        aws = stack.enter_context(interpreter(functions, jobs))
        served = stack.enter_context(slack())
        machines = {"batch": aws.machine("jobs", nightly("batch", {**NAMES, "JobsPath": JOBS_PATH}))}
        nights = Nights(aws, machines, functions, jobs, served, _bucket(aws, served))
        inside = {**cloud.account(aws.endpoint), "ETL_PARAMETER_ROLE": JOBS_ROLE}
        own = {"report": {"ETL_REPORT_BUCKET": nights.bucket}}
        jobs.variables.update(inside)
        for name, handler in HANDLERS.items():
            nights.running[name] = stack.enter_context(function(handler, inside | own.get(name, {})))
        bot = {"bot_token": TOKEN, "channel": "C0all"}
        nights.running["notifier"] = stack.enter_context(_notifier(aws, served, folder, bot))
        functions.update({name: running.invoke for name, running in nights.running.items()})
        stack.callback(_end, jobs)
        yield nights


def _bucket(aws: StepFunctions, served: Slack) -> str:
    """Makes a bucket. moto keeps it for as long as this process lives, so each deployment has one of its own."""
    name = f"pages-{served.url.rpartition(':')[2]}"
    where = {"LocationConstraint": cloud.REGION}
    cloud.client("s3", aws.endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


@contextmanager
def _notifier(
    aws: StepFunctions, served: Slack, folder: Path, where: Mapping[str, str] | None = None
) -> Iterator[Function]:
    with zipfile.ZipFile(zips.build("notifier", folder)) as archive:
        archive.extractall(folder / "notifier")
    # moto keeps parameters for as long as this process lives; another deployment's webhook may be of a closed server
    path = f"{_SLACK}-{served.url.rpartition(':')[2]}"
    cloud.put(aws.endpoint, path, where or {"webhook_url": served.webhook})
    variables = {**cloud.account(aws.endpoint), "SLACK_PARAMETER_PATH": path, "LOG_GROUP": "/nightly-etl/test"}
    variables["SLACK_API_URL"] = served.api
    with function("notifier.app.handler", variables, folder=folder / "notifier") as running:
        yield running


def _end(jobs: Jobs) -> None:
    for job in jobs.running():
        job.process.kill()


@contextmanager
def instead(functions: Functions, name: str, answer: Callable[[Any], Any]) -> Iterator[None]:
    """Replaces a Lambda for as long as the block lasts."""
    before = functions[name]
    functions[name] = answer
    try:
        yield
    finally:
        functions[name] = before


def make_tables(execute: Callable[[str], object], url: str) -> None:
    """Creates twenty tables: pgbench's four, whose sums show whether they are of one instant, and small ones."""
    pgbench("-i", "-s", "1", "-q", url)
    names = [f"small_{number:02}" for number in range(1, SMALL + 1)]
    made = "CREATE TABLE {0} (id int PRIMARY KEY, note text); INSERT INTO {0} SELECT g, 'note ' || g"
    execute(";".join(f"{made.format(name)} FROM generate_series(1, 50) g" for name in names))


def pgbench(*arguments: str) -> None:
    """Runs pgbench to its end."""
    subprocess.run([wheel_bin() / "pgbench", *arguments], check=True, capture_output=True, timeout=120)


@contextmanager
def writing(url: str, history: Database) -> Iterator[None]:
    """Runs pgbench on the source during the block: 100 transactions a second, 90 seconds at most."""
    command = [str(wheel_bin() / "pgbench"), "-n", "-c", "2", "-R", "100", "-T", "90", url]
    writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = history.value("SELECT count(*) FROM pgbench_history")
    try:
        until(lambda: history.value("SELECT count(*) FROM pgbench_history") > before, "a transaction of pgbench's")
        yield
        assert writer.poll() is None, "the writer ended before the night"
    finally:
        writer.terminate()
        writer.wait()


SUMS = (
    "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),"
    " (SELECT sum(bbalance) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"
)


def is_one_instant(target: Rows) -> bool:
    """Tells whether pgbench's sums are equal, as they are after every transaction of the source."""
    ((accounts, tellers, branches, history),) = target.rows(SUMS)
    return bool(accounts == tellers == branches == history)
