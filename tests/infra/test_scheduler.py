"""The scheduler's module alone in moto: applied, planned again, run as deployed, destroyed.

Real HTTP throughout. The rules' targets, the mapping from queue to runner, and the functions are what was deployed;
each function signs its requests with its own role's name, so that every call is held against that role's policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from scheduler.job import Job, Notify, Status
from scheduler.machine import Machine
from scheduler.message import Message
from scheduler.pools import Pool, Pools
from scheduler.queue import Queue
from scheduler.registry import Registry
from tests.infra.deployment import Deployment, deployment
from tests.infra.implied import implied
from tests.infra.policies import Call, Statement, actions, allowed, needlessly_wide
from tests.infra.terraform import installed, workspace, written
from tests.scheduling import TABLE, job
from tests.stepfunctions import Ended

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

NAME = "nightly-etl"
ROLES = {one: f"{NAME}-jobs-{one}" for one in ("tick", "runner", "ended")}

# One job's night takes long, another's fails, all others' end at once.
MACHINE = {
    "StartAt": "Whose",
    "States": {
        "Whose": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.job", "StringEquals": "slow", "Next": "Long"},
                {"Variable": "$.job", "StringEquals": "bad", "Next": "Failed"},
            ],
            "Default": "Done",
        },
        "Long": {"Type": "Wait", "Seconds": 600, "Next": "Done"},
        "Failed": {"Type": "Fail", "Error": "SourceGone", "Cause": "no route to host"},
        "Done": {"Type": "Succeed"},
    },
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a deployment needs."""
    installed()
    return workspace(tmp_path_factory.mktemp("scheduler"))


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The scheduler's module, applied beside a state machine, a notifier and topics."""

    made: Deployment
    machine: str
    outputs: dict[str, Any]

    def registry(self, role: str | None = None) -> Registry:
        """The table that was made."""
        return Registry(self.made.client("dynamodb", role), self.outputs["table_name"])

    def queue(self, role: str | None = None) -> Queue:
        """The queue that was made."""
        return Queue(self.made.client("sqs", role), self.outputs["queue_url"])

    def tick(self, now: datetime, *jobs: Job) -> dict[str, int]:
        """Puts jobs that are due, and calls the tick as its rule does."""
        for one in jobs:
            self.registry().put(one, now - timedelta(minutes=1))
        said: dict[str, int] = self.scheduled("tick")
        return said

    def scheduled(self, rule: str) -> Any:
        """Calls a rule's function as the rule does when its time has come."""
        return self.made.functions[self._target(rule)]({"detail-type": "Scheduled Event"})

    def deliver(self) -> list[dict[str, Any]]:
        """Has the runner called as its mapping says; returns what it took. Lambda asks in the runner's name."""
        (mapping,) = self.made.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        assert (mapping["BatchSize"], mapping.get("MaximumBatchingWindowInSeconds", 0)) == (10, 0)
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        sqs, url = self.made.client("sqs", ROLES["runner"]), self.outputs["queue_url"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        assert mapping["EventSourceArn"] == arn
        taken = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        told = {"attributes": {"ApproximateReceiveCount": "1"}, "eventSourceARN": arn}
        records = [{"messageId": one["MessageId"], "body": one["Body"], **told} for one in taken]
        assert self.made.functions[mapping["FunctionArn"]]({"Records": records}) == {"batchItemFailures": []}
        for one in taken:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"]) for one in taken]

    def ended(self, name: str) -> Ended:
        """Waits for an execution's end."""
        return self.made.aws.ended(f"{self.machine.replace(':stateMachine:', ':execution:')}:{name}")

    def hear(self, ended: Ended) -> Any:
        """Has an execution's end delivered, if the rule takes it."""
        pattern = self.made.client("events").describe_rule(Name=f"{NAME}-jobs-ended")["EventPattern"]
        heard: Any = ended.event
        assert EventPattern.load(pattern).matches_event(heard)
        another: Any = ended.event | {"detail": ended.event["detail"] | {"stateMachineArn": f"{self.machine}-batches"}}
        running: Any = ended.event | {"detail": ended.event["detail"] | {"status": "RUNNING"}}
        assert not any(EventPattern.load(pattern).matches_event(event) for event in (another, running))
        return self.made.functions[self._target("ended")](heard)

    def _target(self, rule: str) -> str:
        (target,) = self.made.client("events").list_targets_by_rule(Rule=f"{NAME}-jobs-{rule}")["Targets"]
        arn: str = target["Arn"]
        assert target["DeadLetterConfig"]["Arn"].endswith(f":{NAME}-jobs-undelivered")
        statements = json.loads(self.made.client("lambda").get_policy(FunctionName=arn)["Policy"])["Statement"]
        assert {one["Principal"]["Service"] for one in statements} == {"events.amazonaws.com"}
        callers = [one["Condition"]["ArnLike"]["AWS:SourceArn"].rpartition("/")[2] for one in statements]
        assert f"{NAME}-jobs-{rule}" in callers
        return arn


@contextmanager
def _applied(source: Path) -> Iterator[Scheduled]:
    """Applies the module alone, plans again, and destroys it at the block's end."""
    folder = source / "examples" / "alone"
    folder.mkdir()
    with deployment(folder) as made:
        machine = made.aws.machine(NAME, json.dumps(MACHINE))
        key = made.client("kms").create_key()["KeyMetadata"]["Arn"]
        sns = made.client("sns")
        topics = {
            name: sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": key})["TopicArn"]
            for name in (NAME, "tenant-slow", "tenant-bad")
        }
        modules = {
            "notifier": {
                "source": "../../modules/function",
                "name": f"{NAME}-notifier",
                "description": "Stands for the nightly module's",
                "zip": "${path.module}/../../../dist/notifier.zip",
                "handler": "notifier.app.handler",
            },
            "scheduler": {
                "source": "../../modules/scheduler",
                "name": NAME,
                "zip": "${path.module}/../../../dist/scheduler.zip",
                "state_machine_arn": machine,
                "notifier_function_name": "${module.notifier.name}",
                "topic_arn": topics[NAME],
                "notify_topics": ["tenant-*"],
                "notify_topic_kms_key_arns": [key],
                "kms_key_arn": key,
                "at_once": 1,
                "force_destroy": True,
                "tags": {"team": "data"},
            },
        }
        outputs = ("table_name", "queue_url", "reader_policy_arn", "operator_policy_arn")
        configuration = {
            "module": modules,
            "output": {name: {"value": f"${{module.scheduler.{name}}}"} for name in outputs},
        }
        written(folder, "main.tf.json", configuration)
        terraform = made.terraform.init()
        terraform("apply", "-no-color", "-auto-approve", "-input=false")
        assert terraform.changes() == []
        yield Scheduled(made, machine, terraform.outputs())
        terraform("destroy", "-no-color", "-auto-approve", "-input=false")
        assert terraform("state", "list").stdout == ""


@pytest.fixture(scope="module")
def applied(source: Path) -> Iterator[Scheduled]:
    """The module, applied once for all tests of this file that need no more of it than what was deployed."""
    with _applied(source) as one:
        yield one


def _of(name: str, now: datetime) -> Job:
    """A job that was due in this minute; all share one source, which has one place."""
    topic = f"arn:aws:sns:eu-central-1:123456789012:tenant-{name}"
    return job(name, f"{now.minute} {now.hour} * * *", pause_after=1, notify=Notify(topic, "C0123"))


def test_the_table_is_what_the_scheduler_expects(applied: Scheduled) -> None:
    """Keys, index and projection as the tests of the scheduler have them; runs expire, and backups are kept."""
    client = applied.made.client("dynamodb")
    table = client.describe_table(TableName=applied.outputs["table_name"])["Table"]
    (index,) = table["GlobalSecondaryIndexes"]
    (expected,) = TABLE["GlobalSecondaryIndexes"]
    assert {name: index[name] for name in ("IndexName", "KeySchema")} == {
        name: expected[name] for name in ("IndexName", "KeySchema")
    }
    assert sorted(index["Projection"]["NonKeyAttributes"]) == sorted(expected["Projection"]["NonKeyAttributes"])
    assert table["KeySchema"] == TABLE["KeySchema"]
    by_name = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    assert by_name == {one["AttributeName"]: one["AttributeType"] for one in TABLE["AttributeDefinitions"]}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = client.describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires_at")
    backups = client.describe_continuous_backups(TableName=table["TableName"])["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_jobs_run_and_every_call_is_allowed_and_every_allowed_action_used(applied: Scheduled) -> None:
    """A pool that is full, an end that is heard, and one whose event is lost: started, put back, told, paused."""
    made, now = applied.made, datetime.now(UTC).replace(second=0, microsecond=0)
    made.recorder.calls.clear()
    made.run_functions(f"{NAME}-jobs")
    slow, good, bad = (_of(name, now) for name in ("slow", "good", "bad"))

    assert applied.tick(now, slow)["sent"] == 1
    assert [one["job"] for one in applied.deliver()] == ["slow"]
    assert applied.tick(now, good)["sent"] == 1
    assert [one["job"] for one in applied.deliver()] == ["good"]
    assert _counters(applied, "good") == {"waited": 1}, "the source has one place, and slow has it"

    name = Message("slow", now, None).name
    made.aws.client.stop_execution(executionArn=f"{applied.machine.replace(':stateMachine:', ':execution:')}:{name}")
    assert applied.hear(applied.ended(name)) == {"settled": True}
    assert _status(applied, "slow") is Status.PAUSED

    assert applied.tick(now, bad)["sent"] == 1
    assert [one["job"] for one in applied.deliver()] == ["bad"]
    assert applied.ended(Message("bad", now, None).name).status == "FAILED"
    assert applied.scheduled("look") == {"settled": False}, "it began just now"
    applied.registry().watch("bad", Message("bad", now, None).name, now)
    assert applied.scheduled("look") == {"settled": True}, "no event came, so its end is looked for"
    assert _status(applied, "bad") is Status.PAUSED

    roles = made.roles()
    calls = _all_calls(made)
    assert sorted({str(call) for call in calls if not allowed(call, roles[call.role])}) == []
    used = {role: {call.action for call in calls if call.role == role} for role in ROLES.values()}
    assert [f"{role}: {one}" for role in ROLES.values() for one in actions(roles[role]) - used[role]] == []
    assert needlessly_wide({role: roles[role] for role in ROLES.values()}) == []
    assert _published(made) == {"slow", "bad"}


def _counters(applied: Scheduled, name: str) -> dict[str, int]:
    known = applied.registry().get(name)
    assert known is not None
    counters = {one: getattr(known.counters, one) for one in known.counters.__dataclass_fields__}
    return {one: count for one, count in counters.items() if count}


def _status(applied: Scheduled, name: str) -> Status:
    known = applied.registry().get(name)
    assert known is not None
    return known.job.status


def _all_calls(made: Deployment) -> list[Call]:
    """The calls that roles made, with what AWS authorizes beside them; events and the queue call the functions."""
    functions = [arn for arn in made.functions if f":{NAME}-jobs-" in arn]
    of_functions = implied([Call("", "lambda:InvokeFunction", arn) for arn in functions], made.client)
    return made.calls() + of_functions


def _published(made: Deployment) -> set[str]:
    """The jobs whose topics were published to."""
    topics = {call.resource for call in made.recorder.calls if call.action == "sns:Publish"}
    return {topic.rpartition("tenant-")[2] for topic in topics}


def test_what_is_another_s_is_refused(applied: Scheduled) -> None:
    """Another machine, another's topic or settings, a job that is deleted or written whole: no function may."""
    roles = applied.made.roles()
    table = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{NAME}-jobs"
    via = {"kms:ViaService": "dynamodb.eu-central-1.amazonaws.com"}
    refused = [
        ("states:StartExecution", f"{applied.machine}-batches"),
        ("states:StopExecution", f"{applied.machine.replace(':stateMachine:', ':execution:')}:acme-20261128T020000Z"),
        ("sns:Publish", f"arn:aws:sns:eu-central-1:123456789012:{NAME}"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:eu-central-1:123456789012:function:{NAME}-publish"),
        ("dynamodb:DeleteItem", table),
        ("dynamodb:PutItem", table),
        ("dynamodb:Scan", table),
        ("ssm:GetParametersByPath", f"arn:aws:ssm:eu-central-1:123456789012:parameter/{NAME}/jobs/acme"),
    ]
    calls = [Call(role, action, resource, via) for role in ROLES.values() for action, resource in refused]
    assert [str(call) for call in calls if allowed(call, roles[call.role])] == []
    assert not allowed(Call(ROLES["tick"], "dynamodb:GetItem", table), roles[ROLES["tick"]])
    told = Call(ROLES["runner"], "sns:Publish", "arn:aws:sns:eu-central-1:123456789012:tenant-acme")
    assert not allowed(told, roles[ROLES["runner"]])
    assert allowed(replace(told, role=ROLES["ended"]), roles[ROLES["ended"]])


def test_people_have_what_nightly_jobs_does(applied: Scheduled) -> None:
    """The operator's policy allows all that the registry, the pools and the queue are asked; the reader's, to look."""
    applied.made.recorder.calls.clear()
    _looks(applied, "reader")
    _looks(applied, "operator")
    _changes(applied, "operator")
    calls = applied.made.calls()
    policies = {role: _policy(applied, role) for role in ("reader", "operator")}
    assert sorted({str(call) for call in calls if not allowed(call, policies[call.role])}) == []
    used = {role: {call.action for call in calls if call.role == role} for role in policies}
    assert [f"{role}: {one}" for role, policy in policies.items() for one in actions(policy) - used[role]] == []
    changing = [call for call in calls if call.role == "operator" and call.action not in used["reader"]]
    assert [str(call) for call in changing if allowed(call, policies["reader"])] == []
    assert needlessly_wide(policies) == []


def _looks(applied: Scheduled, role: str) -> None:
    registry = applied.registry(role)
    list(registry.jobs())
    registry.get("acme")
    registry.runs("acme", 10)
    Machine(applied.made.client("stepfunctions", role), applied.machine).is_running("acme-20261128T020000Z")


def _changes(applied: Scheduled, role: str) -> None:
    now = datetime.now(UTC)
    registry, one = applied.registry(role), replace(job("acme"), status=Status.DISABLED)
    registry.put(one, now)
    registry.set_status(one, Status.ENABLED, now)
    pools = Pools(applied.made.client("dynamodb", role), applied.outputs["table_name"], 10, lambda _: None)
    pools.allow(Pool("pool#source#one", 3))
    sqs = applied.made.client("sqs", role)
    assert sqs.get_queue_url(QueueName=f"{NAME}-due")["QueueUrl"] == applied.outputs["queue_url"]
    applied.queue(role).send([Message("acme", now, None)], now)
    registry.remove("acme")


def _policy(applied: Scheduled, role: str) -> list[Statement]:
    iam, arn = applied.made.client("iam"), applied.outputs[f"{role}_policy_arn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    statements: list[Statement] = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"][
        "Statement"
    ]
    return statements


def test_each_alarm_watches_something_that_is_there(applied: Scheduled) -> None:
    """Its function, its queue, or the metrics that the scheduler writes; and it tells the topic."""
    made = applied.made
    queues = {url.rpartition("/")[2] for url in made.client("sqs").list_queues()["QueueUrls"]}
    functions = {one["FunctionName"] for one in made.client("lambda").list_functions()["Functions"]}
    alarms = {one["AlarmName"]: one for one in made.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    watched = {
        name.removeprefix(f"{NAME}-jobs-"): (one["MetricName"], {each["Value"] for each in one["Dimensions"]})
        for name, one in alarms.items()
    }
    assert watched == {
        "dead": ("ApproximateNumberOfMessagesVisible", {f"{NAME}-due-dead"}),
        "undelivered": ("ApproximateNumberOfMessagesVisible", {f"{NAME}-jobs-undelivered"}),
        "tick-failed": ("Errors", {f"{NAME}-jobs-tick"}),
        "no-tick": ("due", {NAME}),
        "late": ("late_seconds", {NAME}),
        "stuck": ("ApproximateAgeOfOldestMessage", {f"{NAME}-due"}),
    }
    assert set().union(*(values for _, values in watched.values())) <= queues | functions | {NAME}
    own = {one["MetricName"] for one in alarms.values() if one["Namespace"] == "NightlyEtl/Scheduler"}
    assert own == {"due", "late_seconds"}, "integration/test_scheduler_zip.py has what the functions write"
    assert {tuple(one["AlarmActions"]) for one in alarms.values()} == {
        (f"arn:aws:sns:eu-central-1:123456789012:{NAME}",)
    }
