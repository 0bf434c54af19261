"""The definition: put together for each compute kind, held against what AWS takes; its checkers, against mistakes."""

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
    "transform": "arn:aws:states:eu-central-1:123456789012:stateMachine:transform",
    "published": False,
    "states": {
        "context": {"Execution": {"Id": "arn:aws:states:eu-central-1:123456789012:execution:n:1", "Name": "1"}},
        "input": {"table": "public.events", "limit": 1000, "last_id": None, "time": "2026-11-22T00:15:00Z"},
    },
    "night": {
        "run_id": "2026-11-22",
        "execution": None,
        "published": False,
        "why": "No run of 2026-11-22 was started.",
    },
}
"""The variables of a run in its middle."""

DEFINITIONS = {
    **{kind: nightly(kind, NAMES) for kind in COMPUTE},
    "batches": batches(NAMES),
    "deadline": deadline(NAMES),
}

_STATES = "arn:aws:states:::"

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_aws_would_take_every_tasks_arguments(kind: str) -> None:
    """Each is an operation that we mean to call, with parameters of its model; each has timeout, retries and catch."""
    assert problems(json.loads(DEFINITIONS[kind]), VALUES) == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_no_expression_asks_for_an_input(kind: str) -> None:
    """Step Functions evaluates without one: $ and $$ stand for nothing, and moto refuses them."""
    expressions = re.findall(r"\{%.*?%\}", DEFINITIONS[kind])
    assert len(expressions) > 4
    for expression in expressions:
        extract_jsonata_variable_references(json.loads(f'"{expression}"'))


def broken(kind: str, task: str, change: Change) -> list[str]:
    """Gives what is found in a definition with one mistake in one task."""
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
    """A checker that finds nothing wrong with anything would pass the test above."""
    (problem, *_) = broken(kind, task, change)
    assert problem.startswith(f"{task}: ")
    assert found in "\n".join(broken(kind, task, change))


def test_what_a_task_overrides_is_the_same_whoever_runs_it() -> None:
    """One definition: the kinds differ in two tasks' Resource, Arguments and reason of a failure, and nowhere else."""
    machines = [json.loads(DEFINITIONS[kind]) for kind in COMPUTE]
    for machine in machines:
        for name, kept in {"Snapshot": "Assign", "Shard": "Output"}.items():
            task = tasks(machine["States"])[name]
            del task["Resource"], task["Arguments"], task["Catch"][0][kept]["job"]
    assert machines[0] == machines[1] == machines[2]


def test_a_failed_shard_is_tried_once_more_and_a_snapshot_is_not() -> None:
    """But both wait for capacity; that a holder that never began is started again, test_paths.py shows."""
    found = tasks(json.loads(DEFINITIONS["batch"])["States"])
    *services, failed = found["Shard"]["Retry"]
    assert (failed["ErrorEquals"], failed["MaxAttempts"]) == (["States.TaskFailed"], 1)
    assert found["Snapshot"]["Retry"] == services


def test_every_state_machine_ends_and_every_state_is_reached() -> None:
    """No state is left over, none leads to one that is not there."""
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
    """And nothing is printed that would deploy."""
    with pytest.raises(NameMissing, match="JobQueue"):
        nightly("batch", {name: value for name, value in NAMES.items() if name != "JobQueue"})


def test_a_name_that_would_break_the_json_is_refused() -> None:
    """A quote in a name would end the string that it stands in."""
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
    """Its templates know ${…} and %{…}: the first are names that docs/state-machine.md explains, the second none."""
    explained = (FOLDER.parent / "docs/state-machine.md").read_text()
    for file in [*FOLDER.glob("*.json"), *(FOLDER / "compute").glob("*.json")]:
        text = file.read_text()
        assert "%{" not in text
        for name in re.findall(r"\$\{([^}]*)\}", text):
            assert f"`{name}`" in explained, name
            assert name in {*DEFAULTS, *NAMES, "ComputeResource", "ComputeArguments", *EXPRESSIONS}


EXPRESSIONS = {"ComputeReason": "compute/reason.jsonata", "ShardsFailedCause": "shards-failed.jsonata"}
"""The placeholders for expressions that are too long for one line of JSON, and the files that have them."""


def test_each_services_fragment_has_all_parts_of_the_reason() -> None:
    """And no other: Terraform's templatefile refuses a file with a name that it was not given."""
    parts = set(re.findall(r"[$%]\{([^}]*)\}", (FOLDER / EXPRESSIONS["ComputeReason"]).read_text()))
    for kind in COMPUTE:
        assert set(json.loads((FOLDER / f"compute/{kind}.json").read_text())["Reason"]) == parts
    assert re.findall(r"[$%]\{", (FOLDER / EXPRESSIONS["ShardsFailedCause"]).read_text()) == []


def test_terraforms_way_to_put_it_together_gives_the_same() -> None:
    """templatefile, replace and jsonencode, as docs/state-machine.md says; this does so in Python."""

    def template(text: str, names: dict[str, str]) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: names[match[1]], text)

    names = {**DEFAULTS, **NAMES}
    for kind in COMPUTE:
        fragment = json.loads(template((FOLDER / f"compute/{kind}.json").read_text(), names))
        texts = {name: template((FOLDER / file).read_text(), fragment["Reason"]) for name, file in EXPRESSIONS.items()}
        values = {name: "{% " + re.sub(r"\s+", " ", text.strip()) + " %}" for name, text in texts.items()}
        in_quotes = {"ComputeArguments": fragment["Arguments"], **values}
        extra = {"ComputeResource": fragment["Resource"], **{name: name for name in in_quotes}}
        text = template((FOLDER / "nightly.asl.json").read_text(), names | extra)
        for name, each in in_quotes.items():
            text = text.replace(f'"{name}"', json.dumps(each))
        assert json.loads(text) == json.loads(DEFINITIONS[kind])


@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """asl-validator, installed once into the user's cache."""
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
    """Asks asl-validator."""
    (folder / "definition.json").write_text(text)
    command = [validator, "--json-path", str(folder / "definition.json")]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.xdist_group("npm")  # one worker, so one installation
@pytest.mark.parametrize("kind", DEFINITIONS)
def test_asl_validator_finds_nothing(validator: str, tmp_path: Path, kind: str) -> None:
    """The definition is one in Amazon's language."""
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
    """A state that is not there, a field of the other language, an expression that does not parse."""
    assert right in DEFINITIONS["batch"]
    assert not valid(validator, DEFINITIONS["batch"].replace(right, wrong), tmp_path)


def test_the_picture_is_the_definitions() -> None:
    """`make picture` was run after the last change."""
    assert picture.main(check=True) == 0


def test_a_stale_picture_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A definition that has another state has another picture."""
    page, drawn = tmp_path / "state-machine.md", picture.PAGE.read_text()
    page.write_text(drawn.replace("Publish -.->|on error| Abort", ""))
    monkeypatch.setattr(picture, "PAGE", page)
    assert picture.main(check=True) == 1
    assert picture.main(check=False) == 0
    assert page.read_text() == drawn
