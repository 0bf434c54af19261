"""The reason for a failed container, from Step Functions' Cause to the Slack message."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.notifier import remedy
from statemachine.notifier.message import message
from statemachine.notifier.outcome import from_machine
from statemachine.notifier.remedy import Remedy, anchor
from tests import asl, causes
from tests.asl import value
from tests.causes import CONSOLE, DEPLOYMENT, EXAMPLES, PAGE, Example, failure, held, loaded, messages, notified, shown
from tests.described import DESCRIBED, SHAPES, batch, codebuild, ecs
from tests.unit.test_definition import validator

__all__ = ["validator"]  # a fixture

OPERATIONS = PAGE.with_name("operations.md")
MESSAGES = messages()

MOST_STATE = 262_144
"""Bytes of a state's input or output (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

MOST_CAUSE = 32_768
"""Characters of a cause (https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html)."""


@pytest.mark.parametrize("title", MESSAGES)
def test_the_whole_message_of_a_cause_is_as_documented(title: str) -> None:
    """docs/slack-messages.md has this message, word for word."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert section.partition("````text\n")[2] == f"{shown(MESSAGES[title])}\n````\n"


def test_the_page_of_messages_is_the_notifiers() -> None:
    """It fails if `make messages` was not run after the last change."""
    assert causes.main(check=True) == 0


def test_a_stale_page_of_messages_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check names a page with other text; without ``--check`` the page is written again."""
    stale = tmp_path / "slack-messages.md"
    stale.write_text(PAGE.read_text().replace("The copy failed.", "The copy has failed."))
    monkeypatch.setattr(causes, "PAGE", stale)
    assert causes.main(check=True) == 1
    assert causes.main(check=False) == 0
    assert stale.read_text() == PAGE.read_text()


@pytest.mark.parametrize("title", MESSAGES)
def test_a_message_tells_its_cause_once_and_keeps_slacks_limits(title: str) -> None:
    """Each of a service's own words stands in one place, and no text is longer than Slack allows."""
    posted = MESSAGES[title]
    quotes = [block["text"]["text"] for block in posted["blocks"] if block.get("text", {}).get("text", "")[:3] == "```"]
    assert len(set(quotes)) == len(quotes)
    assert all(shown({**posted, "text": ""}).count(quote.strip("`")) == 1 for quote in quotes)
    assert len(posted["blocks"]) <= 50
    assert all(len(block["text"]["text"]) <= 3000 for block in posted["blocks"] if "text" in block)


@pytest.mark.parametrize(
    ("service", "kinds"),
    [
        ("batch", "IMAGE RESOURCES MEMORY SPOT NO_HOST TIME COPY HOLDER SETTINGS STOPPED NOT_STARTED"),
        ("ecs", "IMAGE RESOURCES MEMORY SPOT COPY SETTINGS STOPPED TIME UNKNOWN"),
        ("codebuild", "IMAGE RESOURCES MEMORY TIME COPY SETTINGS"),
    ],
)
def test_every_cause_that_a_service_has_is_among_the_examples(service: str, kinds: str) -> None:
    """Each example has the advice that is written for its cause."""
    told = "".join(shown(MESSAGES[example.title]) for example in EXAMPLES if example.service == service)
    found = {name for name, kind in vars(remedy).items() if isinstance(kind, Remedy) and kind.section in told}
    assert found == set(kinds.split())


def test_every_remedy_has_its_section_in_the_runbook() -> None:
    """The links of the messages lead to existing headings."""
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)}
    remedies = [kind for kind in vars(remedy).values() if isinstance(kind, Remedy)]
    assert len(remedies) > 10
    assert [kind.section for kind in remedies if anchor(kind.section) not in anchors] == []
    assert set(re.findall(r"operations\.md#([\w-]+)", PAGE.read_text())) <= anchors


@pytest.mark.parametrize(("service", "shape"), SHAPES)
def test_the_examples_have_the_documented_shapes(service: str, shape: str) -> None:
    """No example has a member that AWS's own model of the service does not have."""
    model = botocore.session.get_session().get_service_model(service).shape_for(shape)
    jobs = [example.cause for example in EXAMPLES if example.service == service and not isinstance(example.cause, str)]
    for job in [DESCRIBED[service](exit_status=0), *jobs]:
        assert unknown(job.get("Build", job), model) == []


def unknown(given: Any, shape: Shape) -> list[str]:
    """The members of ``given`` that a shape does not have."""
    if isinstance(shape, ListShape):
        return [name for each in given for name in unknown(each, shape.member)]
    if not isinstance(shape, StructureShape):
        return []
    members = {name[0].upper() + name[1:]: member for name, member in shape.members.items()}
    found = [name for name in given if name not in members]
    return found + [name for key in given if key in members for name in unknown(given[key], members[key])]


def job_of(service: str, cause: str, error: str = "States.TaskFailed") -> dict[str, Any]:
    """The state machine's record of a failed job, made from its cause."""
    found: dict[str, Any] = held(service, {"Error": error, "Cause": cause})["job"]
    return found


@pytest.mark.parametrize("service", DESCRIBED)
def test_a_job_has_one_shape_whoever_ran_it(service: str) -> None:
    """Exit status, log stream, job, messages, and the service's own code, for each service."""
    job = job_of(service, json.dumps(DESCRIBED[service](exit_status=1)))
    assert set(job) == {"exit", "log", "id", "reason", "code"}
    assert job["exit"] == 1


def test_a_reason_in_whose_middle_the_cause_was_cut_is_told() -> None:
    """The message has the part of the reason before the cut, and the exit status, which came earlier."""
    cause = json.dumps(batch(exit_status=1, reason="CannotPullContainerError: pull image manifest"))
    job = job_of("batch", cause[: cause.index(" manifest")])
    assert (job["exit"], job["reason"]) == (1, "CannotPullContainerError: pull image")


def test_a_container_beside_ours_is_not_asked() -> None:
    """The exit status is that of the container etl, not that of GuardDuty's container, which comes first."""
    task = ecs(exit_status=143)
    assert task["Containers"][0]["ExitCode"] == 0
    assert job_of("ecs", json.dumps(task))["exit"] == 143


WHOLE = {kind: json.dumps(made(exit_status=1, tables='["a\\"b",{}]')) for kind, made in DESCRIBED.items()}


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(max_examples=60, deadline=None)
def test_a_cause_may_be_cut_anywhere(service: str, data: st.DataObject) -> None:
    """$parse would stop the state machine at incomplete JSON; the message has all that the incomplete text contains."""
    whole = WHOLE[service]
    cut = data.draw(st.integers(0, len(whole) - 1))
    job = job_of(service, whole[:cut])
    assert ("reason" in job or "exit" in job) == (cut > 0)


@given(st.sampled_from(sorted(WHOLE)), st.one_of(st.text(), st.text('{}[]",:\\z0 "nul'), st.text('{":z}')))
@settings(max_examples=150, deadline=None)
def test_no_cause_stops_the_machine(service: str, cause: str) -> None:
    """Plain text, and text that only looks like JSON, appears unchanged."""
    job = job_of(service, cause)
    assert len(json.dumps(job)) < 2500
    if cause.strip(" \t\r\n").isalnum() and cause.isascii():  # JSONata's $trim removes only these characters
        assert job == {"reason": " ".join(cause.split())}


@pytest.mark.parametrize("reason", ["Behälter beendet", "コンテナが終了しました", "Контейнер", "fin 😀"])
def test_a_reason_is_told_in_its_own_letters(reason: str) -> None:
    """A long one is cut by the bytes that it may take, so that all shards' reasons fit into a state."""
    assert job_of("batch", json.dumps(batch(exit_status=1, reason=reason)))["reason"].startswith(reason)
    cut = job_of("batch", json.dumps(batch(exit_status=1, reason=reason * 90)))["reason"]
    assert (reason * 90).startswith(cut)
    assert len(json.dumps(cut)) < 800


def night(service: str, number: int, cause: Any, error: str = "States.TaskFailed") -> tuple[list[Any], dict[str, Any]]:
    """The Map's output when each of many shards has failed, and the machine's variable ``failure`` after it."""
    plan = {"shards": list(range(number))}  # the definition only counts them
    said = [{"Error": error, "Cause": cause(shard)} for shard in range(number)]
    items = [causes.shard_failed(service, shard, plan, said[shard]) for shard in range(number)]
    return items, loaded(service, "ShardsFailed", items)


def worst(shard: int) -> str:
    """A cause of the greatest length that differs from every other."""
    letters = "".join(chr(ord("g") + int(digit)) for digit in str(shard))
    return json.dumps(batch(exit_status=1, job_id='"' * 200, reason=f'{letters} "\\é' * 900, tables="x"))[:MOST_CAUSE]


@pytest.mark.parametrize("number", [200, 1000])
def test_many_failing_shards_stay_within_step_functions_limits(number: int) -> None:
    """The limits of the Map's output, ShardsFailed's Cause, the notifier's input, and Slack, for the longest causes."""
    items, failed = night("batch", number, worst)
    assert len(json.dumps(items, ensure_ascii=False).encode()) < MOST_STATE
    (state,) = (
        branch["States"]["ShardsFailed"]
        for branch in causes.definition_of("batch").load["Branches"]
        if "ShardsFailed" in branch["States"]
    )
    assert len(value(state["Cause"], {"states": {"input": items}})) < MOST_CAUSE
    assert len(failed["cause"]) <= 2000
    assert len(json.dumps(notified(failed, {}))) < MOST_STATE / 4
    posted = message(from_machine(notified(failed, {})), CONSOLE, DEPLOYMENT)
    assert f"{number - 3:,} more shards failed for other reasons." in shown(posted)


def test_shards_that_failed_alike_are_told_together() -> None:
    """A thousand lost hosts make one line with the shards' numbers; the ids of instances do not matter."""
    hosts = night(
        "batch", 1000, lambda shard: json.dumps(batch(status_reason=f"Host EC2 (instance i-0{shard:x}) gone."))
    )
    posted = message(from_machine(notified(hosts[1], {})), CONSOLE, DEPLOYMENT)
    assert "Shards 0–99 and 900 more of 1000: `States.TaskFailed`" in shown(posted)
    assert "1000 of 1000 shards failed: shard 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 990 more with" in hosts[1]["cause"]
    assert hosts[1]["cause"].endswith(": Host EC2 (instance i-00) gone.")


def test_the_most_frequent_causes_come_first() -> None:
    """Shards failed in different ways."""
    exits = {0: 1, 1: 137, 2: 137, 3: 2}
    _, failed = night("ecs", 4, lambda shard: json.dumps(ecs(exit_status=exits[shard])))
    assert [(job["exit"], job["shards"]) for job in failed["jobs"]] == [(137, [1, 2]), (1, [0]), (2, [3])]
    assert (failed["failed"], failed["of"]) == (4, 4)


def test_a_load_that_fails_by_itself_keeps_its_cause() -> None:
    """No branch failed with JSON: the message has Step Functions' own text, and no jobs."""
    load = causes.definition_of("batch").load
    said = {"Error": "States.ItemReaderFailed", "Cause": "{no JSON"}
    found = value(load["Catch"][0]["Assign"]["failure"], {"states": {"errorOutput": said}})
    assert found == {"state": "Load", "error": "States.ItemReaderFailed", "cause": "{no JSON", "jobs": []}


_EVALUATES = """
const jsonata = require(process.argv[1]);
const expressions = JSON.parse(require("fs").readFileSync(0));
(async () => {
  const found = [];
  for (const [text, values] of expressions) {
    const expression = jsonata(text);
    expression.registerFunction("parse", (json) => JSON.parse(json));
    found.push((await expression.evaluate(undefined, values)) ?? null);
  }
  console.log(JSON.stringify(found));
})();
"""


@pytest.mark.xdist_group("npm")
def test_jsonata_in_javascript_gives_the_same(validator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference implementation, which asl-validator contains, agrees with Python's for every example."""
    asked: list[tuple[str, asl.Values, Any]] = []

    def noted(expression: str, values: asl.Values) -> Any:
        asked.append((expression, values, evaluated(expression, values)))
        return asked[-1][2]

    evaluated = asl.evaluated
    monkeypatch.setattr(asl, "evaluated", noted)
    for example in EXAMPLES:
        failure(example)
    night("codebuild", 3, lambda shard: json.dumps(codebuild(exit_status=1))[: 600 + shard])
    command = ["node", "-e", _EVALUATES, str(Path(validator).parents[1] / "jsonata")]
    given = json.dumps([[expression, values] for expression, values, _ in asked])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60)
    assert len(asked) > 100
    assert [_read(found) for found in json.loads(done.stdout)] == [_read(found) for *_, found in asked]


def _read(found: Any) -> Any:
    """Parses a Cause that is JSON, because the order of its members does not matter."""
    return json.loads(found) if isinstance(found, str) and found.startswith("{") else found


def test_an_example_fails_the_test_where_the_machine_forgets_its_reason() -> None:
    """The definition here keeps a shard's error and nothing else, as it once did."""
    (example, *_) = EXAMPLES
    failed = failure(example)
    assert isinstance(example, Example)
    forgotten = {**failed, "jobs": [{"error": "States.TaskFailed", "shards": [1], "count": 1}]}
    assert shown(message(from_machine(notified(forgotten, {})), CONSOLE, DEPLOYMENT)) != shown(MESSAGES[example.title])
