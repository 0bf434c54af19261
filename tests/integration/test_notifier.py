"""The notifier and the starter from their zips, as Lambda runs them: real HTTP to AWS and to Slack."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from statemachine import zips
from tests import cloud
from tests.jobs import Jobs
from tests.lambda_runtime import Function, FunctionError, function
from tests.slack import LIMITED, OK_FALSE, SECRET, TOKEN, Answer, Slack, slack
from tests.stepfunctions import Ended, StepFunctions, interpreter

pytestmark = pytest.mark.xdist_group("notifier")  # one worker, so its fixtures are made once

PATH = "/nightly-etl/test/slack"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:nightly-etl:tonight"
SUCCESS = {
    "outcome": "success",
    "run_id": "tonight",
    "execution": EXECUTION,
    "report": {"run_id": "tonight", "status": "published", "tables": 3, "rows": 10, "bytes": 2000, "seconds": 4.0},
    "failure": None,
}


@pytest.fixture(scope="module")
def aws() -> Iterator[StepFunctions]:
    """Parameter Store and Step Functions; one state machine that ends at once, and one that takes its time."""
    with interpreter({}, Jobs(_none)) as served:
        yield served


def _none(*_: object) -> Any:
    raise AssertionError("no job is started here")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The Lambdas' code, unpacked from their zips."""
    root = tmp_path_factory.mktemp("lambdas")
    for name in zips.LAMBDAS:
        with zipfile.ZipFile(zips.build(name, root)) as archive:
            archive.extractall(root / name)
    return {name: root / name for name in zips.LAMBDAS}


@pytest.fixture(scope="module")
def one_slack() -> Iterator[Slack]:
    """A Slack of our own."""
    with slack() as one:
        yield one


@pytest.fixture
def served(one_slack: Slack) -> Slack:
    """The Slack server without earlier posts."""
    one_slack.answers.clear()
    one_slack.posts.clear()
    one_slack.tokens.clear()
    one_slack.asked = 0
    return one_slack


@contextmanager
def notifier(aws: StepFunctions, served: Slack, folder: Path, path: str = PATH) -> Iterator[Function]:
    """Runs the notifier."""
    variables = cloud.account(aws.endpoint) | {"SLACK_PARAMETER_PATH": path, "SLACK_API_URL": served.api}
    with function("notifier.app.handler", {"LOG_GROUP": "/etl", **variables}, folder=folder, seconds=40) as running:
        yield running


@pytest.fixture(scope="module")
def by_webhook(aws: StepFunctions, one_slack: Slack, folders: dict[str, Path]) -> Iterator[Function]:
    """The notifier, told of a webhook; warm from test to test."""
    cloud.put(aws.endpoint, PATH, {"webhook_url": one_slack.webhook})
    with notifier(aws, one_slack, folders["notifier"]) as running:
        yield running


def test_a_webhook_gets_the_message(by_webhook: Function, served: Slack) -> None:
    """Blocks, and plain text for screen readers; a warm Lambda does not read its parameters again."""
    assert by_webhook.invoke(SUCCESS) == {"told": True}
    assert by_webhook.invoke(SUCCESS) == {"told": True}
    assert served.of_run("tonight") == ["✅ nightly-etl tonight is published: 3 tables"] * 2
    assert served.posts[0]["text"] == "✅ nightly-etl tonight is published: 3 tables. 10 rows in 4.0 s"


def test_a_bot_posts_to_its_channel(aws: StepFunctions, served: Slack, folders: dict[str, Path]) -> None:
    """With its token, which appears only in the header."""
    cloud.put(aws.endpoint, f"{PATH}-bot", {"bot_token": TOKEN, "channel": "C0123"})
    with notifier(aws, served, folders["notifier"], f"{PATH}-bot") as running:
        assert running.invoke(SUCCESS) == {"told": True}
        served.answers.append(OK_FALSE)
        with pytest.raises(FunctionError, match="Slack answered 200: channel_not_found") as caught:
            running.invoke(SUCCESS)
    assert (served.posts[0]["channel"], served.tokens) == ("C0123", {TOKEN})
    assert caught.value.type == "NotTold"
    assert TOKEN not in running_log(caught.value)


JOB = {"job": "acme", "settings_path": "/nightly-etl/jobs/acme", "slack_channel": "C0acme"}
OF_JOB = {**SUCCESS, **JOB, "run_id": "acme-1"}
PAUSED = {"outcome": "paused", "job": "acme", "failures": 5, "execution": EXECUTION, "error": "no", **JOB}


def test_a_job_s_messages_go_to_its_own_channel(aws: StepFunctions, served: Slack, folders: dict[str, Path]) -> None:
    """Of its ends, whoever tells of them, and of its pause; what is of no job goes to the deployment's channel."""
    cloud.put(aws.endpoint, f"{PATH}-jobs", {"bot_token": TOKEN, "channel": "C0123"})
    machine = aws.machine("of-jobs", PASS % ("Pass", ""))
    execution = aws.run(machine, "acme-1", **JOB)
    aborted = replace(execution, status="ABORTED").event
    unsaid = {**aborted, "detail": aborted["detail"] | {"input": None, "inputDetails": {"included": False}}}
    with notifier(aws, served, folders["notifier"], f"{PATH}-jobs") as running:
        for event in (OF_JOB, aborted, unsaid, PAUSED, SUCCESS):
            assert running.invoke(event) == {"told": True}
    assert [post["channel"] for post in served.posts] == ["C0acme"] * 4 + ["C0123"]
    assert served.of_run("acme-1") == [
        "✅ nightly-etl acme-1 is published: 3 tables",
        "❌ nightly-etl acme-1 was aborted",
        "❌ nightly-etl acme-1 was aborted",
    ]
    assert served.of_run("acme") == ["⏸️ nightly-etl acme is paused after 5 failures in a row"]


def test_a_channel_that_does_not_take_a_message_loses_none(
    aws: StepFunctions, served: Slack, folders: dict[str, Path]
) -> None:
    """The deployment's own channel gets it, and hears for whom it was and why; another error is no reason for that."""
    cloud.put(aws.endpoint, f"{PATH}-jobs", {"bot_token": TOKEN, "channel": "C0123"})
    with notifier(aws, served, folders["notifier"], f"{PATH}-jobs") as running:
        served.answers.append(OK_FALSE)
        assert running.invoke(OF_JOB) == {"told": True}
        (post,) = served.posts
        assert post["channel"] == "C0123"
        assert "for the channel `C0acme`, but the bot cannot post there (channel_not_found)" in str(post["blocks"][-1])
        served.answers.append(Answer(200, '{"ok": false, "error": "invalid_auth"}'))
        with pytest.raises(FunctionError, match="Slack answered 200: invalid_auth"):
            running.invoke(OF_JOB)
    assert len(served.posts) == 1


def test_a_webhook_says_for_which_channel_a_message_was(by_webhook: Function, served: Slack) -> None:
    """It has one channel and cannot choose another."""
    assert by_webhook.invoke(OF_JOB) == {"told": True}
    assert by_webhook.invoke(SUCCESS) == {"told": True}
    first, second = served.posts
    assert "for the channel `C0acme`, but a webhook cannot choose one" in str(first["blocks"][-1])
    assert "for the channel" not in str(second)


def running_log(error: FunctionError) -> str:
    """All text that Step Functions would see of an error."""
    return str(error.answer)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_passes_is_tried_again(by_webhook: Function, served: Slack, status: int) -> None:
    """If Slack is down for a moment, the message arrives, and only once."""
    served.answers.append(Answer(status, "down"))
    assert by_webhook.invoke(SUCCESS) == {"told": True}
    assert (served.asked, len(served.posts)) == (2, 1)


def test_a_rate_limit_is_waited_for(by_webhook: Function, served: Slack) -> None:
    """The Lambda waits if the time is short; the state machine does long waits."""
    served.answers.append(LIMITED)
    assert by_webhook.invoke(SUCCESS) == {"told": True}
    served.answers.append(Answer(429, "rate_limited", 600))
    with pytest.raises(FunctionError, match="answered 429"):
        by_webhook.invoke(SUCCESS)
    assert len(served.posts) == 1


@pytest.mark.parametrize(
    "answer", [OK_FALSE, Answer(404, "no_service"), Answer(400, "invalid_blocks"), Answer(200, "<html>proxy</html>")]
)
def test_what_slack_does_not_take_is_an_error(by_webhook: Function, served: Slack, answer: Answer) -> None:
    """This includes a 200 without "ok"; the error contains no secret."""
    served.answers.append(answer)
    with pytest.raises(FunctionError, match=f"answered {answer.status}") as caught:
        by_webhook.invoke(SUCCESS)
    assert caught.value.type == "NotTold"
    assert SECRET not in running_log(caught.value)
    assert SECRET not in by_webhook.log


def test_a_webhook_that_was_changed_is_read_again(aws: StepFunctions, by_webhook: Function, served: Slack) -> None:
    """A warm Lambda that fails clears its cache, so that the state machine's next attempt reads the new webhook."""
    by_webhook.invoke(SUCCESS)
    served.answers.append(Answer(404, "no_service"))
    with slack() as other:
        cloud.put(aws.endpoint, PATH, {"webhook_url": other.webhook})
        with pytest.raises(FunctionError):
            by_webhook.invoke(SUCCESS)
        assert by_webhook.invoke(SUCCESS) == {"told": True}
        assert len(other.posts) == 1
    cloud.put(aws.endpoint, PATH, {"webhook_url": served.webhook})
    with pytest.raises(FunctionError, match="cannot be reached"):
        by_webhook.invoke(SUCCESS)  # the other one is gone
    assert by_webhook.invoke(SUCCESS) == {"told": True}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"channel": "C1"}, "holds neither webhook_url nor bot_token and channel"),
        ({"webhook_url": "hooks.slack.com/services/s3cr3t"}, "is no https:// URL"),
    ],
)
def test_a_notifier_that_cannot_post_says_so(
    aws: StepFunctions, served: Slack, folders: dict[str, Path], values: dict[str, str], said: str
) -> None:
    """The error is one line that names the parameter, without its value."""
    path = f"{PATH}-{len(values)}-{next(iter(values))}"
    cloud.put(aws.endpoint, path, values)
    with (
        notifier(aws, served, folders["notifier"], path) as running,
        pytest.raises(FunctionError, match=said) as caught,
    ):
        running.invoke(SUCCESS)
    assert caught.value.type == "NotConfigured"
    assert path in str(caught.value)
    assert "s3cr3t" not in running_log(caught.value)


def ended(status: str, error: str | None = None, cause: str | None = None, arn: str = EXECUTION) -> dict[str, Any]:
    """EventBridge's event for an execution's end."""
    return Ended("tonight", arn, status, error, cause, []).event


def test_what_the_machine_could_not_tell_is_told_by_its_event(by_webhook: Function, served: Slack) -> None:
    """Executions that timed out, were aborted, or failed before they told Slack: one message each."""
    events = [ended("TIMED_OUT"), ended("ABORTED"), ended("FAILED", "States.Runtime", "no such variable")]
    assert [by_webhook.invoke(event) for event in events] == [{"told": True}] * 3
    assert served.of_run("tonight") == [
        "❌ nightly-etl tonight timed out",
        "❌ nightly-etl tonight was aborted",
        "❌ nightly-etl tonight failed",
    ]
    assert "no such variable" in str(served.posts[2])


def test_what_the_machine_has_told_is_not_told_again(by_webhook: Function, served: Slack) -> None:
    """The error of the last state says that Slack was told; success and starts need no message."""
    events = [ended("FAILED", "NightlyEtl.Failed", "Run tonight is failed"), ended("SUCCEEDED"), ended("RUNNING")]
    assert [by_webhook.invoke(event) for event in events] == [{"told": False}] * 3
    assert served.asked == 0


def test_an_event_without_its_error_is_looked_up(aws: StepFunctions, by_webhook: Function, served: Slack) -> None:
    """Some events lack the error and cause; the execution has them."""
    fail = (
        '{"StartAt": "F", "QueryLanguage": "JSONata", "States": {"F": {"Type": "Fail", "Error": "%s", "Cause": "%s"}}}'
    )
    for number, (error, told) in enumerate([("NightlyEtl.Failed", False), ("NightlyEtl.NotTold", True)]):
        machine = aws.machine(
            f"fails-{number}", fail % (error, "Run tonight is published, and Slack could not be told")
        )
        execution = aws.run(machine, "tonight")
        assert by_webhook.invoke(ended("FAILED", arn=execution.arn)) == {"told": told}
    assert "Run tonight is published, and Slack could not be told" in served.text_of("tonight")


PASS = '{"StartAt": "P", "QueryLanguage": "JSONata", "States": {"P": {"Type": "%s", %s "End": true}}}'


def test_the_starter_starts_a_night_once(aws: StepFunctions, folders: dict[str, Path]) -> None:
    """A second call changes nothing and does not fail, while the run runs or after its end; a rerun is another run."""
    for name, state in {"short": PASS % ("Pass", ""), "long": PASS % ("Wait", '"Seconds": 60,')}.items():
        machine = aws.machine(name, state)
        variables = {**cloud.account(aws.endpoint), "STATE_MACHINE_ARN": machine, "TIMEZONE": "Europe/Berlin"}
        night = {"run_date": "2026-11-22", "shards": 5}
        with function("starter.app.handler", variables, folder=folders["starter"]) as start:
            assert start.invoke(night) == {"name": "2026-11-22", "started": True}
            again = start.invoke({"run_date": "2026-11-22", "shards": 6})
            assert again == {"name": "2026-11-22", "started": False}
            assert start.invoke({**night, "rerun": 2}) == {"name": "2026-11-22-2", "started": True}
            with pytest.raises(FunctionError, match="run_date: 'tomorrow' is no date"):
                start.invoke({"run_date": "tomorrow"})
        found = aws.client.list_executions(stateMachineArn=machine)["executions"]
        assert sorted(execution["name"] for execution in found) == ["2026-11-22", "2026-11-22-2"]
        for execution in found:
            aws.client.stop_execution(executionArn=execution["executionArn"])
