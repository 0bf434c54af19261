"""The deadline's state machine: real executions of a night, the starter and the notifier from their zips, real HTTP."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine import zips
from statemachine.definition import deadline
from tests import cloud
from tests.jobs import Jobs
from tests.lambda_runtime import function
from tests.slack import Slack, slack
from tests.stepfunctions import Ended, Functions, StepFunctions, interpreter

pytestmark = pytest.mark.xdist_group("deadline")  # one worker, so its fixtures are made once

NAMES = {
    "StarterFunction": "starter",
    "NotifierFunction": "notifier",
    "ReportFunction": "report",
    "PublishedByMinutes": "180",
}
SCHEDULED = "2024-11-21T23:15:00Z"  # a quarter past midnight in Berlin, of the 22nd: the deadline is over
STATE = '{"StartAt": "S", "QueryLanguage": "JSONata", "States": {"S": {"Type": %s}}}'
ENDS = {"SUCCEEDED": '"Succeed"', "FAILED": '"Fail"', "RUNNING": '"Wait", "Seconds": 600, "End": true'}


def _none(*_: object) -> Any:
    raise AssertionError("no job is started here")


class World:
    """A nightly machine for each way in which a night may end, with its deadline's machine beside it."""

    def __init__(self, aws: StepFunctions, told: Slack, functions: Functions, folders: Path) -> None:
        self.aws, self.told, self._functions, self._folders = aws, told, functions, folders
        self.ledger_says("running")

    def ledger_says(self, status: str, **more: object) -> None:
        """Sets the ledger's status of every run, and what the report says beside it."""
        self._functions["report"] = lambda event: {"run_id": event["run_id"], "status": status, **more}

    def night(self, name: str, *runs: tuple[str, str]) -> Ended:
        """Executes a night's runs, each with its end, and then the deadline's state machine."""
        machine = self.aws.machine(name, STATE % '"Succeed"')
        for run, end in runs:
            self.aws.client.update_state_machine(stateMachineArn=machine, definition=STATE % ENDS[end])
            execution = self.aws.start(machine, run)
            if end != "RUNNING":
                self.aws.ended(execution)
        self._functions["starter"] = lambda event: self._starter(machine, event)
        watch = self.aws.machine(f"{name}-deadline", deadline(NAMES))
        return self.aws.run(watch, "watch", time=SCHEDULED)

    def _starter(self, machine: str, event: Any) -> Any:
        variables = {**cloud.account(self.aws.endpoint), "STATE_MACHINE_ARN": machine, "TIMEZONE": "Europe/Berlin"}
        with function("starter.app.handler", variables, folder=self._folders / "starter") as running:
            return running.invoke(event)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """AWS, Slack, and the two functions."""
    root, functions = tmp_path_factory.mktemp("lambdas"), Functions()
    for name in zips.LAMBDAS:
        with zipfile.ZipFile(zips.build(name, root)) as archive:
            archive.extractall(root / name)
    with slack() as told, interpreter(functions, Jobs(_none)) as aws:
        cloud.put(aws.endpoint, "/etl-slack", {"webhook_url": told.webhook})
        variables = {**cloud.account(aws.endpoint), "SLACK_PARAMETER_PATH": "/etl-slack", "LOG_GROUP": "/etl"}
        with function("notifier.app.handler", variables, folder=root / "notifier", seconds=60) as notifier:
            functions["notifier"] = notifier.invoke
            yield World(aws, told, functions, root)


def test_a_published_night_is_nobody_s_alarm(world: World) -> None:
    """Neither is a night that a rerun has published."""
    world.told.posts.clear()
    assert world.night("published", ("2024-11-22", "SUCCEEDED")).status == "SUCCEEDED"
    assert world.night("rerun", ("2024-11-22", "FAILED"), ("2024-11-22-2", "SUCCEEDED")).status == "SUCCEEDED"
    assert world.told.posts == []


@pytest.mark.parametrize("end", ["RUNNING", "FAILED"])
def test_a_night_whose_transform_is_late_is_published_all_the_same(world: World, end: str) -> None:
    """The execution still runs, or failed after the publish; the ledger has the publish."""
    world.told.posts.clear()
    world.ledger_says("published")
    try:
        assert world.night(f"transform-{end}", ("2024-11-22", end)).status == "SUCCEEDED"
    finally:
        world.ledger_says("running")
    assert world.told.posts == []


def test_a_night_that_failed_is_told_what_to_do(world: World) -> None:
    """The run has ended, so the message does not say to stop it; it has the command that runs it again."""
    world.told.posts.clear()
    world.ledger_says("failed")
    try:
        assert world.night("failed", ("2024-11-22", "FAILED")).status == "FAILED"
    finally:
        world.ledger_says("running")
    (post,) = world.told.posts
    assert "has ended, and its tables are not published" in json.dumps(post)
    assert '\\"rerun\\": 2' in json.dumps(post)


def test_a_night_that_hangs_is_told_at_its_deadline(world: World) -> None:
    """Slack gets a message with a link to the run; the execution fails, which raises the alarm."""
    world.told.posts.clear()
    ended = world.night("hangs", ("2024-11-22", "RUNNING"))
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    (post,) = world.told.posts
    text = json.dumps(post)
    assert "nightly-etl 2024-11-22 is not published at its deadline" in text
    assert "Run 2024-11-22 is RUNNING; it began at " in text
    assert "published 180 minutes after its schedule" in text
    assert ":execution:hangs:2024-11-22" in text


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (
            {"page": "s3://pages/nights/2024-11-22.html", "page_error": None},
            "prefix=nights/2024-11-22.html|The night on",
        ),
        ({"page": None, "page_error": "S3 refused it"}, "The night's page could not be written: S3 refused it "),
    ],
    ids=["written", "not written"],
)
def test_a_late_night_has_its_page(world: World, report: dict[str, str | None], told: str) -> None:
    """As the report at the deadline has written it."""
    world.told.posts.clear()
    world.ledger_says("running", **report)
    try:
        assert world.night(f"late-{bool(report['page'])}", ("2024-11-22", "RUNNING")).status == "FAILED"
    finally:
        world.ledger_says("running")
    (post,) = world.told.posts
    assert told in json.dumps(post)
    assert "is not published at its deadline" in json.dumps(post["blocks"][0])


def test_a_late_night_says_what_readers_see(world: World) -> None:
    """The ledger has been asked at the deadline: nobody has to look it up."""
    world.told.posts.clear()
    world.ledger_says("running", last_published={"run_id": "2024-11-21", "snapshot_at": "2024-11-21T02:00:03+00:00"})
    try:
        assert world.night("late-readers", ("2024-11-22", "RUNNING")).status == "FAILED"
    finally:
        world.ledger_says("running")
    (post,) = world.told.posts
    assert "Readers see what they saw before: run 2024-11-21, as of 2024-11-21 02:00:03 UTC." in json.dumps(post)


def test_a_night_that_never_began_is_told_at_its_deadline(world: World) -> None:
    """Without an execution there are no metrics for an alarm."""
    world.told.posts.clear()
    assert world.night("never").status == "FAILED"
    assert "No run of 2024-11-22 was started." in json.dumps(world.told.posts)


def test_a_starter_that_fails_is_told_too(world: World) -> None:
    """Otherwise silence would look like a published night."""
    world.told.posts.clear()

    def gone(_: object) -> Any:
        raise TimeoutError("Task timed out after 60.00 seconds")

    world._functions["starter"] = gone
    watch = world.aws.machine("broken-deadline", deadline(NAMES))
    assert world.aws.run(watch, "watch", time=SCHEDULED).status == "FAILED"
    assert "The starter could not say how the run is: Sandbox.Timedout" in json.dumps(world.told.posts)
