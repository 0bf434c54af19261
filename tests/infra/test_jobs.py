"""A deployment of many jobs in moto, applied and run: a run reads what is under its own path, and nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import cloud
from tests.harness import Databases
from tests.infra.deployment import ACCOUNT, IMAGE, Deployment, deployment, given, network
from tests.infra.policies import Call, allowed, trusted
from tests.infra.terraform import installed, workspace
from tests.slack import TOKEN, Slack, slack
from tests.stepfunctions import Ended

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

JOBS = "/nightly-etl/jobs"
SETTINGS = "nightly-etl-job-settings"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
READERS = ("job", "plan", "publish", "abort", "report", "copy-batch")
KEY = "kms:EncryptionContext:PARAMETER_ARN"
TAG, REQUESTED = "aws:PrincipalTag/settings_path", "aws:RequestTag/settings_path"


@pytest.fixture(scope="module")
def served() -> Iterator[Slack]:
    """A Slack of our own."""
    with slack() as one:
        yield one


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The module with ``jobs``, applied; on Fargate, which moto makes fastest."""
    installed()
    with deployment(workspace(tmp_path_factory.mktemp("jobs"))) as one:
        one.terraform.init()
        zips = one.terraform.folder.parent / "dist"
        given(
            one,
            **network(one),
            image=IMAGE,
            compute="fargate",
            jobs={"path": JOBS},
            slack_secrets={"bot_token": "The bot's token.", "channel": "The channel."},
            notifier_zip=str(zips / "notifier.zip"),
            starter_zip=str(zips / "starter.zip"),
            force_destroy=True,
        )
        one.terraform("apply", "-no-color", "-auto-approve", "-input=false")
        yield one


def _arn(path: str) -> str:
    return f"arn:aws:ssm:{cloud.REGION}:{ACCOUNT}:parameter{path}"


def _may_read(made: Deployment, path: str, context: dict[str, str]) -> set[str]:
    """What a session of the settings' role with these tags may do with what is at a path."""
    statements = made.roles()[SETTINGS]
    key = made.terraform.outputs()["kms_key_arn"]
    via = {"kms:ViaService": f"ssm.{cloud.REGION}.amazonaws.com", KEY: _arn(path)}
    calls = [Call(SETTINGS, f"ssm:{name}", _arn(path), context) for name in ("GetParametersByPath", "GetParameter")]
    calls.append(Call(SETTINGS, "kms:Decrypt", key, context | via))
    return {call.action for call in calls if allowed(call, statements)}


def test_a_run_reads_its_own_path_and_no_other(made: Deployment) -> None:
    """Whole names only, so that acme is not acme2; nothing without a tag; no star of a tag is one of a pattern."""
    acme = {TAG: f"{JOBS}/acme"}
    everything = {"ssm:GetParametersByPath", "ssm:GetParameter", "kms:Decrypt"}
    assert _may_read(made, f"{JOBS}/acme/operational/url", acme) == everything
    assert "ssm:GetParametersByPath" in _may_read(made, f"{JOBS}/acme", acme)
    for path, context in (
        (f"{JOBS}/acme2/operational/url", acme),
        (f"{JOBS}/acme2", acme),
        (f"{JOBS}/other/operational/url", acme),
        (JOBS, acme),
        ("/nightly-etl-slack/bot_token", acme),
        (f"{JOBS}/acme2/operational/url", {TAG: f"{JOBS}/acme*"}),
        (f"{JOBS}/acme/operational/url", {TAG: f"{JOBS}/acm?"}),
        (f"{JOBS}/acme/operational/url", {}),
        (f"{JOBS}/acme/operational/url", {"aws:PrincipalTag/other": f"{JOBS}/acme"}),
    ):
        assert _may_read(made, path, context) == set(), (path, context)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (f"{JOBS}/acme", True),
        (f"{JOBS}/eu/acme", True),
        (JOBS, False),
        (f"{JOBS}/", False),
        (f"{JOBS}//", False),
        (f"{JOBS}//acme", False),
        (f"{JOBS}/acme/", False),
        (f"{JOBS}2/acme", False),
        ("/nightly-etl-slack", False),
        ("", False),
        (None, False),
    ],
)
def test_only_this_deployment_assumes_the_role_and_only_for_a_job(
    made: Deployment, tag: str | None, expected: bool
) -> None:
    """Both actions, for each of its roles; the notifier and the state machine are not among them."""
    context = {} if tag is None else {REQUESTED: tag}
    trust, roles = made.trust(SETTINGS), made.roles()
    for action in ("sts:AssumeRole", "sts:TagSession"):
        for name in (f"nightly-etl-{reader}" for reader in READERS):
            call = Call(name, action, f"{ROLE}/{SETTINGS}", context)
            assert trusted(call, f"{ROLE}/{name}", trust) is expected, call
            assert allowed(call, roles[name])
        for name in ("nightly-etl-notifier", "nightly-etl-machine", "somebody"):
            assert not trusted(Call(name, action, f"{ROLE}/{SETTINGS}", context), f"{ROLE}/{name}", trust)


def test_no_process_reads_settings_by_its_own_role(made: Deployment) -> None:
    """They have no permission of Parameter Store, nor to decrypt with a key; the report has one to encrypt its page."""
    for reader in READERS:
        held = {action for one in made.roles()[f"nightly-etl-{reader}"] for action in one["Action"]}
        of_keys = {"kms:GenerateDataKey"} if reader == "report" else set()
        assert {action for action in held if action.startswith(("ssm:", "kms:"))} == of_keys, reader
        assert {"sts:AssumeRole", "sts:TagSession"} <= held


def test_there_is_no_night_of_the_deployment_s_own(made: Deployment) -> None:
    """No schedule, no starter, no deadline; a second plan has nothing to do."""
    assert made.terraform.changes() == []
    assert made.client("scheduler").list_schedules()["Schedules"] == []
    outputs = made.terraform.outputs()
    assert (outputs["jobs_path"], outputs["job_settings_role_arn"]) == (JOBS, f"{ROLE}/{SETTINGS}")
    assert "starter_function_name" not in outputs
    machines = made.client("stepfunctions").list_state_machines()["stateMachines"]
    assert sorted(one["name"] for one in machines) == ["nightly-etl", "nightly-etl-batches"]


def _put(made: Deployment, job: str, values: dict[str, str]) -> str:
    """Stores a job's settings with the deployment's key; returns their path."""
    for name, value in values.items():
        made.client("ssm").put_parameter(
            Name=f"{JOBS}/{job}/{name}", Value=value, Type="SecureString", KeyId="alias/nightly-etl", Overwrite=True
        )
    return f"{JOBS}/{job}"


def _run(made: Deployment, name: str, **given: Any) -> Ended:
    return made.aws.run(made.terraform.outputs()["state_machine_arn"], name, **given)


def test_a_job_runs_as_deployed_and_each_call_is_allowed(made: Deployment, served: Slack, databases: Databases) -> None:
    """Its containers and functions read as the assumed role; the failed execution of another is told by its event.

    Its page is in the job's folder of the bucket, which force_destroy takes with it.
    """
    databases.operational.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 100) AS i")
    for name, value in {"bot_token": TOKEN, "channel": "C0all"}.items():
        made.client("ssm").put_parameter(
            Name=f"/nightly-etl-slack/{name}",
            Value=value,
            Type="SecureString",
            KeyId="alias/nightly-etl",
            Overwrite=True,
        )
    urls = {"operational/url": databases.operational.url, "reporting/url": databases.reporting.url}
    acme = _put(made, "acme", urls | {"tables": "orders"})
    _put(made, "acme2", urls | {"tables": "orders"})
    made.slack_api = served.api
    made.run_what_was_deployed("nightly-etl")
    asked = {"job": "acme", "settings_path": acme, "slack_channel": "C0acme", "shards": 1}
    ended = _run(made, "acme-20261128T020000Z", **asked)
    assert ended.status == "SUCCEEDED", (ended.states, ended.error, ended.cause)
    assert databases.reporting.value("SELECT count(*) FROM orders") == 100
    (post,) = served.posts
    assert (post["channel"], "acme-20261128T020000Z" in post["text"]) == ("C0acme", True)
    bucket = made.terraform.outputs()["reports_bucket"]
    pages = [one["Key"] for one in made.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert pages == ["jobs/acme/acme-20261128T020000Z.html", "jobs/acme/latest.html"]

    refused = _run(made, "by-hand")
    assert refused.states[-2:] == ["NotifyFailure", "Failed"]
    assert "this deployment has no settings of its own" in (refused.cause or "")
    assert served.posts[-1]["channel"] == "C0all"

    _a_stopped_execution_is_ended_in_its_own_ledger(made, databases, ended)
    calls = made.calls()
    roles = made.roles()
    assert sorted({str(call) for call in calls if not allowed(call, roles[call.role])}) == []
    assumed = [call for call in calls if call.action == "sts:AssumeRole"]
    assert {call.context[REQUESTED] for call in assumed} == {acme}
    trust = made.trust(SETTINGS)
    assert [call for call in assumed if not trusted(call, f"{ROLE}/{call.role}", trust)] == []
    assert {call.role for call in calls if call.action.startswith("ssm:")} == {SETTINGS, "nightly-etl-notifier"}
    made.terraform("destroy", "-no-color", "-auto-approve", "-input=false")
    assert made.terraform("state", "list").stdout == ""


def _a_stopped_execution_is_ended_in_its_own_ledger(made: Deployment, databases: Databases, ended: Ended) -> None:
    """The rule gives the abort the event whole, in whose input the job is; as EventBridge would fill its template."""
    (target,) = made.client("events").list_targets_by_rule(Rule="nightly-etl-stopped")["Targets"]
    event = ended.event | {"detail": ended.event["detail"] | {"status": "ABORTED"}}
    text = target["InputTransformer"]["InputTemplate"]
    for key, path in target["InputTransformer"]["InputPathsMap"].items():
        text = text.replace(f"<{key}>", event["detail"][path.removeprefix("$.detail.")])
    asked = json.loads(text.replace("<aws.events.event.json>", json.dumps(event)))
    databases.reporting.execute(f"UPDATE etl.runs SET status = 'running' WHERE run_id = '{ended.name}'")
    made.functions[target["Arn"]](asked)
    assert databases.reporting.rows(f"SELECT status FROM etl.runs WHERE run_id = '{ended.name}'") == [("failed",)]
