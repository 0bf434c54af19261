"""Every path through the definitions, executed; the tests' own Lambdas and jobs end at once.

``tests/acceptance/test_nights.py`` runs the real ``etl`` in their place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from statemachine.definition import batches, nightly
from tests.harness import Done
from tests.jobs import NEVER_BEGAN, Jobs
from tests.lambda_runtime import FunctionError
from tests.machine import NAMES
from tests.stepfunctions import Ended, Functions, StepFunctions, interpreter

SHARDS = [{"shard": 0, "tables": 1, "expected_seconds": 1.5}, {"shard": 1, "tables": 2, "expected_seconds": 0.5}]

_names = (f"night-{number}" for number in count())


def failing(error: str, message: str = "no luck") -> Callable[[Any], Any]:
    """A Lambda that fails."""

    def fail(_: Any) -> Any:
        raise FunctionError({"errorMessage": message, "errorType": error, "stackTrace": ["…"]})

    return fail


def in_turn(answers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """A Lambda that behaves differently on each call."""
    left = iter(answers)
    return lambda event: next(left)(event)  # noqa: PLW0108 - the next one is taken when it is asked


@dataclass(slots=True)
class Instant:
    """A job that has ended when it starts."""

    status: int = 0

    def poll(self) -> int:
        return self.status

    def terminate(self) -> None:
        """Is no more."""

    kill = terminate

    def done(self) -> Done:
        return Done(self.status, "", "")


@dataclass(slots=True)
class World:
    """AWS, with the behaviour of its Lambdas and jobs, and the calls that they got."""

    functions: Functions = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    statuses: dict[str | None, list[int]] = field(default_factory=dict)
    jobs: Jobs = field(init=False)
    aws: StepFunctions = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Jobs(lambda _, variables: Instant(self._status(variables.get("ETL_SHARD"))))

    def _status(self, shard: str | None) -> int:
        left = self.statuses.get(shard)
        return left.pop(0) if left else 0

    def says(self, name: str, answer: Callable[[Any], Any]) -> None:
        """Sets the answer of a Lambda."""

        def asked(event: Any) -> Any:
            self.asked.append((name, event))
            return answer(event)

        self.functions[name] = asked

    def calm(self) -> None:
        """Makes every Lambda and job succeed."""
        self.asked.clear()
        self.statuses.clear()
        self.jobs.submitted.clear()
        self.says("plan", lambda event: {"run_id": event["run_id"], "tables": 3, "shards": SHARDS})
        self.says("publish", lambda event: {"run_id": event["run_id"], "tables": 3})
        self.says("abort", lambda event: {"run_id": event["run_id"]})
        self.says("report", lambda event: {"run_id": event["run_id"], "status": "published", "tables": 3})
        self.says("notifier", lambda _: {"told": True})

    def fails(self) -> None:
        """Sets the ledger's status of the run to failed."""
        self.says("report", lambda event: {"run_id": event["run_id"], "status": "failed", "error": "aborted"})

    def night(self, compute: str = "batch", names: dict[str, str] | None = None, **given: object) -> Ended:
        """Runs a night."""
        name = next(_names)
        return self.aws.run(self.aws.machine(name, nightly(compute, NAMES | (names or {}))), name, **given)

    def events(self, name: str) -> list[Any]:
        """The events with which a Lambda was called."""
        return [event for asked, event in self.asked if asked == name]

    @property
    def told(self) -> tuple[str, str, Any]:
        """The notifier's only call: the outcome, the ledger's status, and the failed state."""
        (event,) = self.events("notifier")
        return event["outcome"], event["report"]["status"], (event["failure"] or {}).get("state")


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    """One interpreter for all tests."""
    world = World()
    with interpreter(world.functions, world.jobs) as world.aws:
        yield world


@pytest.fixture
def world(one_world: World) -> World:
    """A world in which every Lambda and job succeeds."""
    one_world.calm()
    return one_world


@pytest.mark.parametrize("compute", ["batch", "ecs", "codebuild"])
def test_a_good_night_publishes_once_and_tells_once(world: World, compute: str) -> None:
    """Each job gets its command, the run's id, and its shard's number; the ledger has its tables."""
    ended = world.night(compute)
    assert (ended.status, world.told) == ("SUCCEEDED", ("success", "published", None))
    assert [name for name, _ in world.asked] == ["plan", "publish", "report", "notifier"]
    assert world.jobs.holder(ended.name).variables == {"ETL_RUN_ID": ended.name, "ETL_PLAN": "run"}
    (job,) = world.jobs.shard(ended.name, "1")
    assert job.command == "run"
    assert job.variables == {
        "ETL_RUN_ID": ended.name,
        "ETL_PLAN": "run",
        "ETL_SHARD": "1",
        "ETL_SNAPSHOT": "run",
        "ETL_PUBLISH": "defer",
    }


def test_the_input_goes_before_what_is_deployed(world: World) -> None:
    """Plan gets shards as a number or as lists; fields that the input lacks have the deployment's values."""
    world.night(names={"Shards": "7"})
    world.night(shards=3, max_concurrency=1)
    world.night(shards=[["orders"], ["items"]])
    assert [event["shards"] for event in world.events("plan")] == [7, 3, [["orders"], ["items"]]]


JOB: dict[str, Any] = {"settings_path": "/nightly-etl/jobs/acme", "job": "acme"}


@pytest.mark.parametrize("compute", ["batch", "ecs", "codebuild"])
def test_everything_of_a_job_s_night_is_told_whose_it_is(world: World, compute: str) -> None:
    """Each function has its path and name, each container has them as variables, and the notifier has the channel."""
    ended = world.night(compute, slack_channel="C0123", shards=2, **JOB)
    assert ended.status == "SUCCEEDED"
    assert [(name, *(event[key] for key in JOB)) for name, event in world.asked] == [
        (name, *JOB.values()) for name in ("plan", "publish", "report", "notifier")
    ]
    assert [event.get("slack_channel") for _, event in world.asked] == [None, None, None, "C0123"]
    assert [(job.variables["ETL_PARAMETER_PATH"], job.variables["ETL_JOB"]) for job in world.jobs.submitted] == [
        tuple(JOB.values())
    ] * 3
    assert world.jobs.holder(ended.name).variables["ETL_RUN_ID"] == ended.name


def test_a_failed_night_of_a_job_is_ended_in_its_own_ledger(world: World) -> None:
    """Abort, too, has the path and the name."""
    world.says("plan", failing("EtlError"))
    world.fails()
    world.night(**JOB)
    (abort,) = world.events("abort")
    assert {key: abort[key] for key in JOB} == JOB
    assert world.told == ("failure", "failed", "Plan")


def test_a_night_without_a_job_is_as_it_was(world: World) -> None:
    """No event and no container has a field of jobs."""
    ended = world.night()
    assert [sorted(event) for _, event in world.asked] == [
        ["run_id", "shards"],
        ["run_id"],
        ["run_id"],
        ["execution", "failure", "outcome", "report", "run_id"],
    ]
    assert world.jobs.holder(ended.name).variables == {"ETL_RUN_ID": ended.name, "ETL_PLAN": "run"}


SHARED = {"JobsPath": "/nightly-etl/jobs"}
NO_JOBS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "a path alone": ({}, {"settings_path": "/a"}, "settings_path is given, and job is not"),
    "a job alone": ({}, {"job": "acme"}, "job is given, and settings_path is not"),
    "nulls": ({}, dict.fromkeys(JOB), "settings_path is null; give a path"),
    "a number": ({}, JOB | {"settings_path": 7}, "settings_path is 7; give a path"),
    "a slash at the end": ({}, JOB | {"settings_path": "/a/"}, "settings_path is /a/; give a path"),
    "a star": ({}, JOB | {"settings_path": "/a*"}, "settings_path is /a*; give a path"),
    "too long for a tag": ({}, JOB | {"settings_path": "/" + "a" * 256}, "give a path of at most 256 characters"),
    "a name with a line end": ({}, JOB | {"job": "acme\n"}, "give 1 to 63 letters"),
    "a long name": ({}, JOB | {"job": "a" * 64}, "give 1 to 63 letters"),
    "no channel": ({}, JOB | {"slack_channel": ["C1"]}, 'slack_channel is ["C1"]; give a channel'),
    "no job where all are jobs'": (SHARED, {}, "this deployment has no settings of its own: it serves jobs"),
    "the path of all jobs": (SHARED, JOB | {"settings_path": "/nightly-etl/jobs"}, "serves jobs whose settings are"),
    "beside the jobs": (SHARED, JOB | {"settings_path": "/nightly-etl/jobs2/a"}, "serves jobs whose settings are"),
}


@pytest.mark.parametrize("case", NO_JOBS)
def test_an_input_that_names_no_job_rightly_begins_nothing(world: World, case: str) -> None:
    """No function but the notifier is called, least of all for the deployment's own settings; the message says why."""
    names, given, said = NO_JOBS[case]
    ended = world.night(names=names, **given)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert ended.states == ["Begin", "IsInputGood", "InputRefused", "NotifyFailure", "Failed"]
    assert world.told == ("failure", "refused", "Begin")
    assert said in world.events("notifier")[0]["failure"]["cause"]
    assert said in (ended.cause or "")
    assert world.jobs.submitted == []


def test_a_refused_input_is_told_in_the_job_s_channel_where_that_is_known(world: World) -> None:
    """What the input has rightly is passed on, and nothing else of it."""
    world.night(job="acme", slack_channel="C0123")
    world.night(job="a b", slack_channel="<!here>", settings_path="/a")
    told = [{key: event.get(key) for key in (*JOB, "slack_channel")} for event in world.events("notifier")]
    assert told == [{"settings_path": None, "job": "acme", "slack_channel": "C0123"}, dict.fromkeys(told[0])]


def test_a_deployment_of_jobs_serves_a_job(world: World) -> None:
    """Whose path is under its own."""
    assert world.night(names=SHARED, **JOB).status == "SUCCEEDED"


def test_one_shard_is_a_list_of_one(world: World) -> None:
    """JSONata turns a list of one value into the value, unless an expression prevents it."""
    world.says("plan", lambda _: {"tables": 1, "shards": SHARDS[:1]})
    ended = world.night()
    assert ended.status == "SUCCEEDED"
    assert len(world.jobs.submitted) == 2


@pytest.mark.parametrize("answer", [None, {}, {"tables": 0, "shards": []}])
def test_a_plan_of_nothing_is_a_failure(world: World, answer: Any) -> None:
    """No job starts, and the message has the reason."""
    world.says("plan", lambda _: answer)
    world.fails()
    ended = world.night()
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert world.told == ("failure", "failed", "Plan")
    assert world.events("notifier")[0]["failure"]["error"] == "NightlyEtl.NothingPlanned"
    assert world.jobs.submitted == []


def test_a_lambdas_error_is_told_in_its_own_words(world: World) -> None:
    """Not as JSON, in which Lambda wraps it; with its quotes and line breaks."""
    said = 'TABLES: "orders" matches\nno table — in the source \\ here'
    world.says("plan", failing("ConfigurationError", said))
    world.fails()
    world.night()
    assert world.events("notifier")[0]["failure"] == {"state": "Plan", "error": "ConfigurationError", "cause": said}
    assert world.events("abort")[0]["error"] == f"Plan: ConfigurationError: {said}"


def test_a_lambda_that_the_service_fails_is_asked_again(world: World) -> None:
    """After throttling, a crash or a timeout; every Lambda here is idempotent."""
    answers = in_turn(
        [failing("Lambda.TooManyRequestsException"), failing("Sandbox.Timedout"), lambda _: {"tables": 3}]
    )
    world.says("publish", answers)
    assert world.night().status == "SUCCEEDED"
    assert len(world.events("publish")) == 3


def test_a_failed_shard_is_tried_once_more(world: World) -> None:
    """The other shards are not."""
    world.statuses["1"] = [1, 0]
    ended = world.night()
    assert ended.status == "SUCCEEDED"
    assert [len(world.jobs.shard(ended.name, shard)) for shard in ("0", "1")] == [1, 2]


def test_a_shard_that_fails_twice_fails_the_night_after_its_siblings(world: World) -> None:
    """All of them run; nothing is published; the message has the number of failures."""
    world.statuses["0"] = [1, 1, 1]
    world.fails()
    ended = world.night(max_concurrency=1)
    assert (ended.status, ended.error, world.told) == ("FAILED", "NightlyEtl.Failed", ("failure", "failed", "Load"))
    assert [len(world.jobs.shard(ended.name, shard)) for shard in ("0", "1")] == [2, 1]
    assert world.events("publish") == []
    failure = world.events("notifier")[0]["failure"]
    assert failure["error"] == "NightlyEtl.ShardsFailed"
    said = "shard 0 with States.TaskFailed, exit status 1: Essential container in task exited"
    assert failure["cause"] == f"1 of 2 shards failed: {said}"


def test_a_snapshot_that_is_lost_is_not_taken_again(world: World) -> None:
    """A second snapshot would show another instant; the night fails."""
    world.statuses[None] = [1, 0]
    world.fails()
    ended = world.night()
    assert world.told == ("failure", "failed", "Load")
    assert "NightlyEtl.SnapshotFailed" in (ended.cause or "")
    assert world.jobs.holder(ended.name).status == 1


@pytest.mark.parametrize("compute", ["batch", "ecs", "codebuild"])
def test_a_holder_that_never_began_is_started_once_more(world: World, compute: str) -> None:
    """Without an exit status no snapshot was taken, so the new one is the only one."""
    world.statuses[None] = [NEVER_BEGAN, 0]
    ended = world.night(compute)
    assert (ended.status, world.told) == ("SUCCEEDED", ("success", "published", None))
    assert [job.command for job in world.jobs.of_run(ended.name)].count("snapshot") == 2


def test_a_holder_that_never_begins_fails_the_night(world: World) -> None:
    """It is started twice, not more, and the message has the service's reason."""
    world.statuses[None] = [NEVER_BEGAN, NEVER_BEGAN, 0]
    world.fails()
    ended = world.night()
    assert world.told == ("failure", "failed", "Load")
    assert [job.command for job in world.jobs.of_run(ended.name)].count("snapshot") == 2
    assert "exit status" not in world.events("notifier")[0]["failure"]["cause"]


def test_a_publish_that_gives_up_is_not_asked_again(world: World) -> None:
    """The publish itself has waited for readers already."""
    world.says("publish", failing("PublishBlocked", "the live tables were in use for 600 s"))
    world.fails()
    assert world.night().status == "FAILED"
    assert len(world.events("publish")) == 1
    assert world.told == ("failure", "failed", "Publish")


def test_a_publish_whose_answer_is_lost_is_not_told_as_a_failure(world: World) -> None:
    """The ledger says published, so the execution succeeds; the message has the machine's error too."""
    world.says("publish", failing("Lambda.Unknown"))
    ended = world.night()
    assert (ended.status, world.told) == ("SUCCEEDED", ("success", "published", "Publish"))
    assert len(world.events("publish")) == 7


def test_a_ledger_that_cannot_be_read_hides_no_publish(world: World) -> None:
    """Publish answered that it published; only the figures are missing, and the message says why."""
    world.says("report", failing("Unreachable", "the reporting database cannot be reached"))
    ended = world.night()
    assert (ended.status, world.told) == ("SUCCEEDED", ("success", "published", None))
    assert "cannot be reached" in world.events("notifier")[0]["report"]["error"]


def test_nobody_claims_to_know_what_nobody_could_read(world: World) -> None:
    """No answer from Publish or from the ledger: the status is unknown, and the night fails."""
    for name in ("publish", "report", "abort"):
        world.says(name, failing("Unreachable"))
    ended = world.night()
    assert (ended.status, world.told) == ("FAILED", ("failure", "unknown", "Publish"))


def test_an_abort_is_tried_until_the_tables_are_let_go(world: World) -> None:
    """A stopped container may hold them for some seconds."""
    world.says("plan", failing("EtlError"))
    world.fails()
    answers = in_turn([failing("TableLocked"), failing("TableLocked"), lambda _: {}])
    world.says("abort", answers)
    world.night()
    assert len(world.events("abort")) == 3


def test_a_notifier_that_fails_is_asked_again(world: World) -> None:
    """Slack's outages are temporary."""
    answers = in_turn([failing("NotTold"), failing("NotTold"), lambda _: {"told": True}])
    world.says("notifier", answers)
    assert world.night().status == "SUCCEEDED"


@pytest.mark.parametrize("publishes", [True, False])
def test_a_night_that_nobody_was_told_of_does_not_end_as_if_all_were_well(world: World, publishes: bool) -> None:
    """The execution's error differs from that of a reported failure, so Slack gets its event; the cause is true."""
    if not publishes:
        world.says("plan", failing("EtlError"))
        world.fails()
    world.says("notifier", failing("NotTold", "Slack answered 500"))
    ended = world.night()
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.NotTold")
    assert (ended.cause or "").startswith(f"Run {ended.name} is {'published' if publishes else 'failed'}")
    assert len(world.events("notifier")) == 9


def transform(world: World, state: dict[str, Any]) -> dict[str, str]:
    """Creates a state machine of one state; returns its name for the deployment."""
    definition = {"QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": state}}
    return {"TransformStateMachine": world.aws.machine(next(_names), json.dumps(definition))}


def test_a_transform_runs_after_the_publish_and_before_the_message(world: World) -> None:
    """Its execution has the run's name, and its input has the run's id, and whose it is."""
    names = transform(world, {"Type": "Pass", "End": True})
    ended = world.night(names=names, run_date="2026-11-22", **JOB)
    assert (ended.status, world.told) == ("SUCCEEDED", ("success", "published", None))
    assert ended.states.index("Publish") < ended.states.index("Transform") < ended.states.index("NotifySuccess")
    (execution,) = world.aws.client.list_executions(stateMachineArn=names["TransformStateMachine"])["executions"]
    said = json.loads(world.aws.client.describe_execution(executionArn=execution["executionArn"])["input"])
    assert (execution["name"], said["run_id"], said["run_date"]) == (ended.name, ended.name, "2026-11-22")
    assert {key: said[key] for key in JOB} == JOB


def test_a_transform_that_fails_takes_nothing_back(world: World) -> None:
    """The night ends FAILED, and the message says that the tables are published."""
    ended = world.night(names=transform(world, {"Type": "Fail", "Error": "Dbt", "Cause": "a model"}))
    assert (ended.status, world.told) == ("FAILED", ("failure", "published", "Transform"))
    assert world.events("abort") == []


def test_a_transform_still_comes_when_the_publishs_answer_was_lost(world: World) -> None:
    """As soon as the ledger has said that the run is published."""
    world.says("publish", failing("Lambda.Unknown"))
    ended = world.night(names=transform(world, {"Type": "Pass", "End": True}))
    assert ended.status == "SUCCEEDED"
    assert ended.states.count("Transform") == 1


def table_of(ids: list[int]) -> Callable[[Any], Any]:
    """A Lambda that copies this table's ids, one batch for each call."""

    def copy(event: Any) -> Any:
        batch = [each for each in ids if event["last_id"] is None or each > event["last_id"]][: event["limit"]]
        last = batch[-1] if batch else event["last_id"]
        return {"last_id": last, "rows": len(batch), "done": len(batch) < event["limit"]}

    return copy


def run_batches(world: World, **given: object) -> Ended:
    """Runs the state machine of the batches."""
    name = next(_names)
    return world.aws.run(world.aws.machine(name, batches(NAMES)), name, table="public.events", **given)


def test_batches_go_on_from_the_last_id_until_there_is_no_more(world: World) -> None:
    """In id order, with any gaps; only the last id is passed from batch to batch."""
    world.says("copy-batch", table_of([1, 2, 5, 9, 10, 400]))
    assert run_batches(world, limit=2).status == "SUCCEEDED"
    assert [event["last_id"] for event in world.events("copy-batch")] == [None, 2, 9, 400]


def test_batches_can_be_taken_up_where_they_stopped(world: World) -> None:
    """The error of the failed execution has the id."""
    world.says(
        "copy-batch",
        lambda event: failing("LoadFailed")(event) if event["last_id"] == 2 else table_of([1, 2, 5])(event),
    )
    ended = run_batches(world, limit=2)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.BatchFailed")
    assert 'start again with "last_id": 2.' in (ended.cause or "")
    world.says("copy-batch", table_of([1, 2, 5]))
    world.asked.clear()
    assert run_batches(world, limit=2, last_id=2).status == "SUCCEEDED"
    assert [event["last_id"] for event in world.events("copy-batch")] == [2]


def test_batches_that_stand_still_end(world: World) -> None:
    """A Lambda that returns no later id and says that there is more would otherwise be called for ever."""
    world.says("copy-batch", lambda _: {"last_id": 7, "rows": 1, "done": False})
    ended = run_batches(world, limit=1)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.StandsStill")
    assert len(world.events("copy-batch")) == 2
