"""The examples applied in moto, for each kind of compute: applied, planned again, run by its own schedule, destroyed.

Real HTTP throughout. What runs is what was deployed: the state machine's definition in moto's interpreter, the
functions in Lambda's own runtime client, each container as the runner with the variables of its definition and the
override that it was given, between two real servers; each of them signs its requests with the name of its own role.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.harness import Databases
from tests.infra.deployment import IMAGE, Deployment, deployment, given, network
from tests.infra.policies import Call, actions, allowed, needlessly_wide
from tests.infra.terraform import installed, workspace
from tests.slack import Slack, slack
from tests.stepfunctions import Ended

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

TIME = "<aws.scheduler.scheduled-time>"


@pytest.fixture(scope="module")
def one_slack() -> Iterator[Slack]:
    """A Slack of our own."""
    with slack() as one:
        yield one


@pytest.fixture
def served(one_slack: Slack) -> Slack:
    """Slack, as if nobody had posted yet."""
    one_slack.posts.clear()
    return one_slack


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a deployment needs."""
    installed()
    return workspace(tmp_path_factory.mktemp("deployed"))


def _started(made: Deployment, name: str, time: str) -> Ended:
    """Starts the run as the schedule does: its target, its input, the time in the place that Scheduler fills."""
    schedule = made.client("scheduler").get_schedule(Name=name)
    target = schedule["Target"]
    assert target["Arn"].endswith(f"function:{name}-starter")
    assert TIME in target["Input"]
    # Scheduler calls the starter, and puts aside what it could not deliver, both in the schedule's name:
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
    made.recorder.add(f"{name}-schedule", "lambda:InvokeFunction", target["Arn"])
    made.recorder.add(f"{name}-schedule", "sqs:SendMessage", target["DeadLetterConfig"]["Arn"])
    said = made.functions[target["Arn"]](json.loads(target["Input"].replace(TIME, time)))
    assert said["started"], said
    (machine,) = (
        one["stateMachineArn"]
        for one in made.client("stepfunctions").list_state_machines()["stateMachines"]
        if one["name"] == name
    )
    execution = machine.replace(":stateMachine:", ":execution:") + f":{said['name']}"
    return made.aws.ended(execution)


def _matches(made: Deployment, rule: str, event: Any) -> bool:
    pattern = made.client("events").describe_rule(Name=rule)["EventPattern"]
    return bool(EventPattern.load(pattern).matches_event(event))


def _not_allowed(made: Deployment) -> list[str]:
    roles = made.roles()
    return sorted({str(call) for call in made.calls() if not allowed(call, roles[call.role])})


EXAMPLES = {
    "batch": ("complete", {"name": "nightly-etl", "tables": "orders,items"}),
    "fargate": ("multi-environment", {"tables": "orders,items"}),
    "codebuild": ("codebuild", {"name": "nightly-etl", "tables": "orders,items"}),
}


@pytest.mark.parametrize("compute", EXAMPLES)
def test_an_example_applies_runs_tells_and_goes(
    compute: str, source: Path, served: Slack, databases: Databases
) -> None:
    """Applied, no drift, started by its schedule, Slack told how it went, every call allowed, destroyed."""
    example, variables = EXAMPLES[compute]
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 100) AS i; CREATE TABLE items AS TABLE orders"
    )
    with deployment(source / "examples" / example) as made:
        terraform = made.terraform.init()
        if compute == "fargate":
            name = "nightly-etl-staging"
            given(made, image=IMAGE, environments={"staging": network(made) | variables | {"scheduled": True}})
        else:
            name = str(variables["name"])
            given(made, **network(made), **variables, image=IMAGE)
        terraform("apply", "-no-color", "-auto-approve", "-input=false")
        _set_and_unseen(made, databases, served)
        assert terraform.changes() == []

        made.run_what_was_deployed(name)
        _a_night_that_never_began_is_told(made, name, served)
        ended = _started(made, name, "2026-11-22T01:15:00Z")
        assert ended.status == "SUCCEEDED", (
            ended.states,
            ended.error,
            ended.cause,
            [j.process.done() for j in made.jobs.submitted],
        )
        assert databases.reporting.value("SELECT count(*) FROM items") == 100
        (post,) = served.posts
        assert "2026-11-22" in json.dumps(post)
        bucket = _the_page_is_linked(made, post, "2026-11-22")
        assert _at_the_deadline(made, name, "published").status == "SUCCEEDED"
        assert len(served.posts) == 1

        _a_failure_is_told_once(made, name, databases, served)
        assert _not_allowed(made) == []
        assert needlessly_wide(made.roles()) == []
        assert _pages_are_private(made, bucket, f"{name}-report") == []
        _note_policies(made, compute)
        _empty(made, bucket)
        terraform("destroy", "-no-color", "-auto-approve", "-input=false")
        assert terraform("state", "list").stdout == ""


def _the_page_is_linked(made: Deployment, post: Any, run_id: str) -> str:
    """The page lies in the one bucket, and as the latest, and Slack's message links to it; returns the bucket."""
    s3 = made.client("s3")
    (bucket,) = (one["Name"] for one in s3.list_buckets()["Buckets"])
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [f"nights/{run_id}.html", "nights/latest.html"]
    assert f"/s3/object/{bucket}?region=eu-central-1" in json.dumps(post)
    assert f"prefix=nights/{run_id}.html|The night on one page>" in json.dumps(post).replace("&amp;", "&")
    return str(bucket)


def _pages_are_private(made: Deployment, bucket: str, writer: str) -> list[str]:
    """Looks how the bucket is made; returns what roles may do with it, but that the writer puts pages."""
    s3, arn = made.client("s3"), f"arn:aws:s3:::{bucket}"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (owner,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner["ObjectOwnership"] == "BucketOwnerEnforced"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (rule["Expiration"]["Days"], rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]) == (400, 1)
    roles = made.roles()
    calls = [
        Call(role, f"s3:{action}Object", f"{arn}/{key}")
        for role in roles
        for action in ("Put", "Get", "Delete")
        for key in ("nights/latest.html", "jobs/acme/latest.html", "other")
    ]
    may = {call for call in calls if allowed(call, roles[call.role])}
    wanted = [call for call in calls if call.role == writer and "Put" in call.action and "other" not in call.resource]
    assert len(wanted) == 2
    return sorted(str(call) for call in may.symmetric_difference(wanted))


def _empty(made: Deployment, bucket: str) -> None:
    """Takes all pages away: Terraform destroys no bucket that has some, unless it is told to."""
    s3 = made.client("s3")
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])


def _set_and_unseen(made: Deployment, databases: Databases, served: Slack) -> None:
    """Sets the secrets by hand; a refresh leaves them alone, and the state never holds them."""
    outputs = made.terraform.outputs()["secrets_to_set"]
    names = outputs if isinstance(outputs, list) else [name for one in outputs.values() for name in one]
    assert len(names) == 3
    made.set_secrets(names, databases, served)
    made.terraform("refresh", "-no-color", "-input=false")
    state = (made.terraform.folder / "terraform.tfstate").read_text()
    assert databases.operational.url not in state
    assert served.webhook not in state
    kept = made.client("ssm").get_parameter(
        Name=next(name for name in names if name.endswith("webhook_url")), WithDecryption=True
    )
    assert kept["Parameter"]["Value"] == served.webhook


def _at_the_deadline(made: Deployment, name: str, execution: str) -> Ended:
    """Starts the deadline's machine as its schedule does, for a night long ago; what succeeded since then counts."""
    schedule = made.client("scheduler").get_schedule(Name=f"{name}-deadline")
    night = made.client("scheduler").get_schedule(Name=name)
    assert [schedule[key] for key in ("ScheduleExpression", "ScheduleExpressionTimezone")] == [
        night[key] for key in ("ScheduleExpression", "ScheduleExpressionTimezone")
    ]
    target = schedule["Target"]
    assert allowed(Call("", "states:StartExecution", target["Arn"]), made.roles()[f"{name}-schedule"])
    given = json.loads(target["Input"].replace(TIME, "2020-01-01T01:15:00Z"))
    return made.aws.ended(made.aws.start(target["Arn"], execution, **given))


def _a_night_that_never_began_is_told(made: Deployment, name: str, served: Slack) -> None:
    """The deadline's machine asks the starter and has the notifier tell; its alarm sees that it failed."""
    ended = _at_the_deadline(made, name, "never")
    assert ended.status == "FAILED"
    (post,) = served.posts
    assert "No run of 2020-01-01 was started." in json.dumps(post)
    statements = made.roles()[f"{name}-deadline"]
    called = [arn for arn in made.functions if arn.endswith(("-starter", "-notifier"))]
    assert [arn for arn in called if not allowed(Call("", "lambda:InvokeFunction", arn), statements)] == []
    alarms = made.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = (one for one in alarms if one["AlarmName"] == f"{name}-not-published")
    assert alarm["Dimensions"] == [{"Name": "StateMachineArn", "Value": ended.event["detail"]["stateMachineArn"]}]
    assert _matches(made, f"{name}-failed", ended.event), "were Slack not told, the notifier would hear of it"
    assert not _matches(made, f"{name}-stopped", ended.event)
    served.posts.clear()


def _a_failure_is_told_once(made: Deployment, name: str, databases: Databases, served: Slack) -> None:
    """The machine tells Slack itself; the rule takes the event, and the notifier knows that Slack was told."""
    databases.operational.execute("DROP TABLE items; DROP TABLE orders")
    served.posts.clear()
    failed = _started(made, name, "2026-11-23T01:15:00Z")
    assert failed.status == "FAILED"
    assert len(served.posts) == 1
    assert _matches(made, f"{name}-failed", failed.event)
    assert not _matches(
        made, f"{name}-failed", failed.event | {"detail": failed.event["detail"] | {"status": "SUCCEEDED"}}
    )
    targets = made.client("events").list_targets_by_rule(Rule=f"{name}-failed")["Targets"]
    assert sorted(target["Arn"].split(":")[2] for target in targets) == ["lambda", "sns"]
    notifier = next(target["Arn"] for target in targets if ":lambda:" in target["Arn"])
    assert made.functions[notifier](failed.event) == {"told": False}
    unsaid = failed.event | {"detail": failed.event["detail"] | {"error": None}}
    assert made.functions[notifier](unsaid) == {"told": False}, "it asks Step Functions for the error"
    aborted = failed.event | {"detail": failed.event["detail"] | {"status": "ABORTED", "error": None, "cause": None}}
    assert _matches(made, f"{name}-failed", aborted)
    assert made.functions[notifier](aborted) == {"told": True}
    assert len(served.posts) == 2
    _an_abort_reaches_the_ledger(made, name, databases, aborted)


def _an_abort_reaches_the_ledger(made: Deployment, name: str, databases: Databases, event: dict[str, Any]) -> None:
    """The rule for what was stopped calls the abort with the run's name; the run is closed, as it says."""
    assert _matches(made, f"{name}-stopped", event)
    assert not _matches(made, f"{name}-stopped", event | {"detail": event["detail"] | {"status": "FAILED"}})
    (target,) = made.client("events").list_targets_by_rule(Rule=f"{name}-stopped")["Targets"]
    transformer = target["InputTransformer"]
    given = transformer["InputTemplate"]
    for key, path in transformer["InputPathsMap"].items():
        given = given.replace(f"<{key}>", event["detail"][path.removeprefix("$.detail.")])
    run_id = event["detail"]["name"]
    databases.reporting.execute(f"UPDATE etl.runs SET status = 'running', error = NULL WHERE run_id = '{run_id}'")
    made.functions[target["Arn"]](json.loads(given))
    rows = databases.reporting.rows(f"SELECT status, error FROM etl.runs WHERE run_id = '{run_id}'")
    assert rows == [("failed", "the execution is ABORTED")]


_allowed: dict[str, set[str]] = {}
_used: set[str] = set()


def _note_policies(made: Deployment, compute: str) -> None:
    """Notes what this kind's policies allow, and what was used of it."""
    _allowed[compute] = {action for statements in made.roles().values() for action in actions(statements)}
    _used.update(call.action for call in made.calls())


def test_every_allowed_action_is_used() -> None:
    """No policy allows what no role asks for, by itself or by what AWS authorizes with its calls."""
    if set(_allowed) != set(EXAMPLES):
        pytest.skip("needs what all of the tests before it noted; runs with them")
    assert set().union(*_allowed.values()) - _used == set()
