"""The definition of each compute kind is valid for AWS, and the checks of these tests find mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.jsonata.jsonata import extract_jsonata_variable_references

from statemachine import picture
from statemachine.definition import COMPUTE, DEFAULTS, FOLDER, NameMissing, batches, deadline, main, nightly, tasks
from tests.asl import problems
from tests.machine import NAMES

VALUES = {
    "run_id": "2026-11-22",
    "run_date": "2026-11-22",
    "shards": [["public.orders"], ["public.customers", 'public."odd ""name"""']],
    "plan": {"run_id": "2026-11-22", "tables": 1, "shards": [{"shard": 0, "tables": 1, "expected_seconds": 1.5}]},
    "job_name": "etl-2026-11-22-shard-0",
    "command": "run",
    "environment": [{"Name": "ETL_RUN_ID", "Value": "2026-11-22"}, {"Name": "ETL_PLAN", "Value": "run"}],
    "failure": {"state": "Load", "error": "NightlyEtl.ShardsFailed", "cause": "1 of 2"},
    "report": {"run_id": "2026-11-22", "status": "failed", "error": None},
    "about": {"wrong": "", "of_job": {}, "environment": [], "told": {}},
    "transform": "arn:aws:states:eu-central-1:123456789012:stateMachine:transform",
    "published": False,
    "states": {
        "context": {"Execution": {"Id": "arn:aws:states:eu-central-1:123456789012:execution:n:1", "Name": "1"}},
        "input": {
            "table": "public.events",
            "limit": 1000,
            "last_id": None,
            "of_job": {},
            "time": "2026-11-22T00:15:00Z",
        },
    },
    "night": {
        "run_id": "2026-11-22",
        "execution": None,
        "published": False,
        "why": "No run of 2026-11-22 was started.",
    },
}
"""The variables of a run that is under way."""

DEFINITIONS = {
    **{kind: nightly(kind, NAMES) for kind in COMPUTE},
    "batches": batches(NAMES),
    "deadline": deadline(NAMES),
}

_STATES = "arn:aws:states:::"

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_aws_would_take_every_tasks_arguments(kind: str) -> None:
    """Each task calls an expected operation with valid parameters, and has a timeout, retries and a catch."""
    assert problems(json.loads(DEFINITIONS[kind]), VALUES) == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_no_expression_asks_for_an_input(kind: str) -> None:
    """Step Functions evaluates expressions without an input: $ and $$ have no value, and moto refuses them."""
    expressions = re.findall(r"\{%.*?%\}", DEFINITIONS[kind])
    assert len(expressions) > 4
    for expression in expressions:
        extract_jsonata_variable_references(json.loads(f'"{expression}"'))


def broken(kind: str, task: str, change: Change) -> list[str]:
    """The problems found in a definition with one mistake in one task."""
    definition = json.loads(DEFINITIONS[kind])
    change(tasks(definition["States"])[task])
    return problems(definition, VALUES)


@pytest.mark.parametrize(
    ("kind", "task", "change", "found"),
    [
        ("batch", "Shard", lambda task: task.update(Resource=f"{_STATES}batch:submitJob.synch"), "is not one of"),
        ("batch", "Plan", lambda task: task.update(Resource=f"{_STATES}lambda:invokeAsync"), "is not one of"),
        ("batch", "Shard", lambda task: task["Arguments"].pop("JobQueue"), "jobQueue"),
        ("batch", "Shard", lambda task: task["Arguments"].update(JobQueues="q"), "no JobQueues"),
        ("batch", "Shard", lambda task: task["Arguments"].update(PropagateTags=True), "takes no PropagateTags"),
        ("batch", "Shard", lambda task: task["Arguments"]["ContainerOverrides"].update(Environment={}), "environment"),
        ("batch", "Shard", lambda task: task["Arguments"]["Timeout"].update(AttemptDurationSeconds="6h"), "attempt"),
        ("ecs", "Shard", lambda task: task["Arguments"]["Overrides"].pop("ContainerOverrides"), "no container is told"),
        ("ecs", "Shard", lambda task: task["Arguments"]["Overrides"]["ContainerOverrides"][0].update(Env=[]), "no Env"),
        ("codebuild", "Shard", lambda task: task["Arguments"].update(TimeoutInMinutesOverride=1), "timeoutInMinutes"),
        ("codebuild", "Snapshot", lambda task: task["Arguments"].update(ProjectName="{% $projct %}"), "projectName"),
        ("batch", "Publish", lambda task: task["Arguments"].pop("FunctionName"), "FunctionName"),
        ("batch", "Publish", lambda task: task["Arguments"].update(Payload="{% $run_id & %}"), "expression"),
        ("batch", "Publish", lambda task: task.pop("TimeoutSeconds"), "no TimeoutSeconds"),
        ("batch", "Publish", lambda task: task.pop("Catch"), "no Catch"),
        ("batch", "Publish", lambda task: task["Retry"][0].pop("JitterStrategy"), "without full jitter"),
        ("batch", "Transform", lambda task: task["Arguments"].pop("StateMachineArn"), "stateMachineArn"),
        ("deadline", "TellSlack", lambda task: task.pop("Catch"), "no Catch"),
        ("batches", "CopyBatch", lambda task: task["Retry"][0].pop("MaxDelaySeconds"), "without MaxDelaySeconds"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_is_found(kind: str, task: str, change: Change, found: str) -> None:
    """A check that never finds a mistake would pass the test above."""
    (problem, *_) = broken(kind, task, change)
    assert problem.startswith(f"{task}: ")
    assert found in "\n".join(broken(kind, task, change))


def test_what_a_task_overrides_is_the_same_whoever_runs_it() -> None:
    """The kinds differ only in the Resource, Arguments and failure reason of two tasks."""
    machines = [json.loads(DEFINITIONS[kind]) for kind in COMPUTE]
    for machine in machines:
        for name, kept in {"Snapshot": "Assign", "Shard": "Output"}.items():
            task = tasks(machine["States"])[name]
            del task["Resource"], task["Arguments"], task["Catch"][0][kept]["job"]
    assert machines[0] == machines[1] == machines[2]


def test_a_failed_shard_is_tried_once_more_and_a_snapshot_is_not() -> None:
    """Both are retried when capacity is missing. test_paths.py covers the holder that never began."""
    found = tasks(json.loads(DEFINITIONS["batch"])["States"])
    *services, failed = found["Shard"]["Retry"]
    assert (failed["ErrorEquals"], failed["MaxAttempts"]) == (["States.TaskFailed"], 1)
    assert found["Snapshot"]["Retry"] == services


def test_every_state_machine_ends_and_every_state_is_reached() -> None:
    """No state is unreachable, and no state leads to one that does not exist."""
    for text in DEFINITIONS.values():
        _check_reached(json.loads(text))


def _check_reached(machine: dict[str, Any]) -> None:
    reached, waiting = set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            state = machine["States"][name]
            waiting += re.findall(
                r'"(?:Next|Default)": "(\w+)"', json.dumps({**state, "Branches": [], "ItemProcessor": {}})
            )
            for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
                _check_reached(inner)
    assert reached == set(machine["States"])


def test_a_name_that_is_missing_is_named() -> None:
    """The command prints no definition that somebody could deploy."""
    with pytest.raises(NameMissing, match="JobQueue"):
        nightly("batch", {name: value for name, value in NAMES.items() if name != "JobQueue"})


def test_a_name_that_would_break_the_json_is_refused() -> None:
    """A quote in a name would end its JSON string."""
    with pytest.raises(ValueError, match="JobQueue"):
        nightly("batch", {**NAMES, "JobQueue": 'a"b'})


def test_the_command_prints_the_definition_or_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 for usage, one line on standard error."""
    assert main(["batch", *(f"{name}={value}" for name, value in NAMES.items())]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(DEFINITIONS["batch"])
    assert main(["lambda"]) == 2
    assert main(["batch"]) == 2
    assert "AbortFunction" in capsys.readouterr().err.splitlines()[-1]


def test_terraform_can_read_every_file() -> None:
    """Its templates use ${…} and %{…}: docs/state-machine.md explains each ${…}, and no file has %{…}."""
    explained = (FOLDER.parent / "docs/state-machine.md").read_text()
    for file in [*FOLDER.glob("*.json"), *(FOLDER / "compute").glob("*.json")]:
        text = file.read_text()
        assert "%{" not in text
        for name in re.findall(r"\$\{([^}]*)\}", text):
            assert f"`{name}`" in explained, name
            assert name in {*DEFAULTS, *NAMES, "ComputeResource", "ComputeArguments", *EXPRESSIONS}


EXPRESSIONS = {
    "ComputeReason": "compute/reason.jsonata",
    "ShardsFailedCause": "shards-failed.jsonata",
    "ExecutionInput": "execution-input.jsonata",
}
"""The placeholders for expressions that are too long for one line of JSON, with the files of the expressions."""


def test_each_services_fragment_has_all_parts_of_the_reason() -> None:
    """No fragment has another part: Terraform's templatefile refuses a file that uses a name without a value."""
    parts = set(re.findall(r"[$%]\{([^}]*)\}", (FOLDER / EXPRESSIONS["ComputeReason"]).read_text()))
    for kind in COMPUTE:
        assert set(json.loads((FOLDER / f"compute/{kind}.json").read_text())["Reason"]) == parts
    assert re.findall(r"[$%]\{", (FOLDER / EXPRESSIONS["ShardsFailedCause"]).read_text()) == []
    assert set(re.findall(r"[$%]\{([^}]*)\}", (FOLDER / EXPRESSIONS["ExecutionInput"]).read_text())) == {"JobsPath"}


def test_terraforms_way_to_put_it_together_gives_the_same() -> None:
    """Python does here what docs/state-machine.md describes: templatefile, replace and jsonencode."""

    def template(text: str, names: dict[str, str]) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: names[match[1]], text)

    names = {**DEFAULTS, **NAMES}
    for kind in COMPUTE:
        fragment = json.loads(template((FOLDER / f"compute/{kind}.json").read_text(), names))
        parts = {**fragment["Reason"], "JobsPath": names["JobsPath"]}
        texts = {name: template((FOLDER / file).read_text(), parts) for name, file in EXPRESSIONS.items()}
        values = {name: "{% " + re.sub(r"\s+", " ", text.strip()) + " %}" for name, text in texts.items()}
        in_quotes = {"ComputeArguments": fragment["Arguments"], **values}
        extra = {"ComputeResource": fragment["Resource"], **{name: name for name in in_quotes}}
        text = template((FOLDER / "nightly.asl.json").read_text(), names | extra)
        for name, each in in_quotes.items():
            text = text.replace(f'"{name}"', json.dumps(each))
        assert json.loads(text) == json.loads(DEFINITIONS[kind])


@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """asl-validator, installed once in the user's cache."""
    if shutil.which("npm") is None:
        pytest.skip("no npm; runs where Node.js is installed")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nightly-etl" / "asl-validator-4.0.0"
    command = folder / "node_modules/.bin/asl-validator"
    if not command.exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--prefix",
            str(folder),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "asl-validator@4.0.0",
        ]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(
                f"npm cannot install asl-validator; runs where the registry answers: {done.stderr.strip()[-200:]}"
            )
    return str(command)


def valid(validator: str, text: str, folder: Path) -> bool:
    """Tells whether asl-validator accepts a definition."""
    (folder / "definition.json").write_text(text)
    command = [validator, "--json-path", str(folder / "definition.json")]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.xdist_group("npm")  # all on one worker, so that it is installed once
@pytest.mark.parametrize("kind", DEFINITIONS)
def test_asl_validator_finds_nothing(validator: str, tmp_path: Path, kind: str) -> None:
    """The definition is valid in the Amazon States Language."""
    assert valid(validator, DEFINITIONS[kind], tmp_path)


@pytest.mark.xdist_group("npm")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"Next": "Load"', '"Next": "Lode"'),
        ('"Arguments"', '"Parameters"'),
        ("$count($plan.shards) >", "$count($plan.shards >"),
    ],
)
def test_asl_validator_finds_a_mistake(validator: str, tmp_path: Path, right: str, wrong: str) -> None:
    """A missing state, a field of JSONPath, and an expression that cannot be parsed."""
    assert right in DEFINITIONS["batch"]
    assert not valid(validator, DEFINITIONS["batch"].replace(right, wrong), tmp_path)


def test_the_picture_is_the_definitions() -> None:
    """It fails if `make picture` was not run after the last change."""
    assert picture.main(check=True) == 0


def test_a_stale_picture_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the definition gets another state, the check finds the old picture."""
    page, drawn = tmp_path / "state-machine.md", picture.PAGE.read_text()
    page.write_text(drawn.replace("Publish -.->|on error| Abort", ""))
    monkeypatch.setattr(picture, "PAGE", page)
    assert picture.main(check=True) == 1
    assert picture.main(check=False) == 0
    assert page.read_text() == drawn
