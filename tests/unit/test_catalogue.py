"""The list of commands as the command line, the Lambdas, the schemas and the notifier use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from rich import console as terminal

from docs.commands import flat, schema
from etl import cli, functions
from etl.catalogue import COMMANDS
from etl.commands import accounts
from etl.commands.answer import plain
from etl.commands.command import Command, Form
from etl.ledger import tables
from etl.model.errors import ConfigurationError
from etl.report.past import print_nights
from etl.report.watching import Lines, picture
from statemachine.notifier.deployment import Deployment
from statemachine.notifier.links import Console
from statemachine.notifier.message import message
from statemachine.notifier.outcome import from_machine
from tests.asl import value

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:nightly-etl:2026-11-22"
NAMES = [command.name for command in COMMANDS if command.json is not None]


def read(name: str) -> dict[str, Any]:
    """A published schema."""
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return found


def paths(found: Mapping[str, Any]) -> set[str]:
    """The fields of a schema, such as ``shards[].tables``."""
    return {path for path, _, _ in flat(found, found, "")}


def samples(found: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Random JSON that a schema allows."""
    if "$ref" in found:
        return samples(root["$defs"][found["$ref"].rpartition("/")[2]], root)
    if "anyOf" in found:
        return st.one_of([samples(choice, root) for choice in found["anyOf"]])
    if found.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat())
    kinds: dict[str, Any] = {
        "object": lambda: st.fixed_dictionaries({name: samples(one, root) for name, one in _properties(found)}),
        "array": lambda: st.lists(samples(found["items"], root), max_size=5),
        "string": lambda: st.text(max_size=200),
        "integer": lambda: st.integers(0, 10**15),
        "number": lambda: st.floats(0, 1e7),
        "boolean": st.booleans,
        "null": st.none,
    }
    strategy: st.SearchStrategy[Any] = kinds[found["type"]]()
    return strategy


@cache
def adapter(kind: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The adapter and the schema of an answer; pydantic reads the source for both, which takes its time."""
    return TypeAdapter(kind), schema(Form(kind))


def drawn(data: st.DataObject, kind: Any) -> Any:
    """A random answer of a kind."""
    made, found = adapter(kind)
    return made.validate_python(data.draw(samples(found, found)))


def _properties(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(found.get("properties", {}).items())  # a document of the ledger has none


class Recorder(dict[str, Any]):
    """A JSON object that records the path of each field that the code reads."""

    def __init__(self, given: Mapping[str, Any], path: str, seen: set[str]) -> None:
        super().__init__(given)
        self.path, self.seen = path, seen

    def __getitem__(self, name: str) -> Any:
        return self._noted(name, super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the field, and records it."""
        return self._noted(name, super().get(name, default))

    def _noted(self, name: str, value: Any) -> Any:
        inner = f"{self.path}.{name}" if self.path else name
        self.seen.add(inner)
        if isinstance(value, dict):
            return Recorder(value, inner, self.seen)
        return [Recorder(one, f"{inner}[]", self.seen) for one in value] if isinstance(value, list) else value


REPORT = accounts.Report(
    run_id="tonight",
    status="failed",
    snapshot_at=None,
    started_at=None,
    finished_at=None,
    seconds=None,
    tables=1,
    rows=1,
    bytes=1,
    slowest=(accounts.SlowTable("public.a", 1.0, None, 1),),
    failed=(accounts.FailedTable("public.b", "division by zero"),),
    failed_count=1,
    last_published=accounts.PublishedRun("yesterday", None),
    error=None,
    kept_until=None,
)


def told(report: Mapping[str, Any], outcome: str) -> str:
    """The text of the Slack message for a report."""
    event = {"outcome": outcome, "run_id": "tonight", "execution": EXECUTION, "report": report}
    return json.dumps(message(from_machine(event), Console.of(EXECUTION, "/etl"), Deployment()), ensure_ascii=False)


def test_the_notifier_reads_only_what_a_report_has() -> None:
    """The notifier does not import etl, so it would silently miss a field that etl renames."""
    seen: set[str] = set()
    told(Recorder(plain(REPORT), "", seen), "failure")
    assert {"status", "slowest[].median_seconds", "failed[].error", "last_published.snapshot_at"} <= seen
    assert seen - paths(read("functions/report.answer.json")) == set()


@given(report=samples(read("functions/report.answer.json"), read("functions/report.answer.json")))
def test_whatever_a_report_may_be_the_notifier_tells_it(report: dict[str, Any]) -> None:
    """Random reports from the schema, with every null that it allows, make messages of both kinds."""
    TypeAdapter(accounts.Report).validate_python(report)
    for outcome in ("success", "failure"):
        assert "tonight" in told(report, outcome)


def test_the_state_machines_read_only_what_the_lambdas_answer() -> None:
    """The fields that they read of ``$report``, ``$plan`` and its shards, and a batch's answer exist in the schemas."""
    files = [*(ROOT / "statemachine").glob("*.asl.json"), *(ROOT / "statemachine").rglob("*.jsonata")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for reads, name in (
        (r"\$report\.(\w+)", "report"),
        (r"\$plan\.(\w+)", "plan"),
        (r"\$states\.result\.Payload\.(\w+)", "copy_batch"),
    ):
        asked = set(re.findall(reads, text))
        assert asked, name
        assert asked <= paths(read(f"functions/{name}.answer.json"))
    (shards,) = _with("ItemProcessor", json.loads((ROOT / "statemachine/nightly.asl.json").read_text("utf-8")))
    first = shards["ItemProcessor"]["States"][shards["ItemProcessor"]["StartAt"]]
    shard = set(re.findall(r"\$states\.input\.(\w+)", json.dumps(first)))
    assert (shards["Items"], bool(shard)) == ("{% $plan.shards %}", True)
    assert {f"shards[].{name}" for name in shard} <= paths(read("functions/plan.answer.json"))


def variables(of_job: dict[str, str]) -> dict[str, Any]:
    """The variables of an execution that is under way; ``of_job`` is what its input has of a job."""
    return {
        "run_id": "tonight",
        "shards": 2,
        "failure": {"state": "Load", "error": "E", "cause": "no"},
        "about": {"of_job": of_job},
        "night": {"run_id": "tonight"},
        "states": {"input": {"table": "orders", "limit": 1, "last_id": None, "of_job": of_job}},
    }


@pytest.mark.parametrize("of_job", [{}, {"settings_path": "/nightly-etl/jobs/acme", "job": "acme"}], ids=["own", "job"])
def test_the_state_machines_send_only_what_the_lambdas_take(of_job: dict[str, str]) -> None:
    """Each task's payload has only fields of that function's event, all its required ones, and those of the job."""
    for file in (ROOT / "statemachine").glob("*.asl.json"):
        for arguments in _with("FunctionName", json.loads(file.read_text(encoding="utf-8"))):
            function = re.fullmatch(r"\$\{(\w+)Function\}", arguments["FunctionName"])
            assert function is not None
            name = re.sub(r"(?<=.)([A-Z])", r"_\1", function[1]).lower()
            if name in functions.FUNCTIONS:
                event = read(f"functions/{name}.event.json")
                sent = value(arguments["Payload"], variables(of_job)).keys()
                assert {*event["required"], *(of_job if file.name != "deadline.asl.json" else ())} <= sent
                assert sent <= event["properties"].keys()


def _with(name: str, state: Any) -> Iterator[dict[str, Any]]:
    """Every object in a definition that has this field."""
    if isinstance(state, list):
        for one in state:
            yield from _with(name, one)
    elif isinstance(state, dict):
        if name in state:
            yield state
        for one in state.values():
            yield from _with(name, one)


def test_history_has_every_column_of_the_ledger() -> None:
    """A new column of the ledger must be added to the answer of history, and so to its schema."""
    runs, loads = ({field.name for field in fields(kind)} for kind in (accounts.HistoryRun, accounts.HistoryLoad))
    assert runs == {column.name for column in tables.runs.columns} | {"loads", "waiting", "is_alive", "is_dead"}
    assert loads == {column.name for column in tables.loads.columns} | {"outcome", "is_slow"}


def test_the_command_line_and_the_lambdas_have_every_command() -> None:
    """Each command is on the command line, in the Lambdas, or both; no other name has a handler."""
    assert set(cli.etl.commands) == set(NAMES)
    assert {name.replace("_", "-") for name in functions.FUNCTIONS} | set(NAMES) == {one.name for one in COMMANDS}
    assert all(callable(getattr(functions, name)) for name in functions.FUNCTIONS)
    with pytest.raises(AttributeError):
        functions.verify  # noqa: B018 - the test is about the look-up


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.show and one.name not in {"run", "plan"}])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_an_answer_may_be_people_can_read_it(command: Command[Any, Any], data: st.DataObject) -> None:
    """Random answers from the schema can be printed, with every null that it allows and any text."""
    assert command.json is not None
    assert command.show is not None
    command.show(drawn(data, command.json.type))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_a_run_that_is_watched_may_be_people_can_read_it(data: st.DataObject) -> None:
    """In lines, and as a picture of 60 columns."""
    seen = drawn(data, accounts.Watched)
    assert list(Lines().of(seen))
    with StringIO() as file:
        terminal.Console(file=file, width=60, force_terminal=True).print(picture(seen))
        assert "tables staged" in file.getvalue()


@settings(max_examples=5, deadline=None)  # a run has so many columns that an example takes a second
@given(data=st.data())
def test_whatever_the_nights_of_a_table_may_be_people_can_read_them(data: st.DataObject) -> None:
    """Each run has the table's load alone; all of them may be slow, if the nights before are not asked for."""
    run, load = drawn(data, accounts.HistoryRun), drawn(data, accounts.HistoryLoad)
    for slow in (True, None, False):
        print_nights([replace(run, loads=(replace(load, is_slow=slow),)), replace(run, loads=(load,))])


SLIPS = {
    "a slip": ({"run_id": "a", "shard": 2}, "event: shard: is no field of this function's event; did you mean shards?"),
    "nothing near": ({"run_id": "a", "shards": 2, "x": 1}, "event: x: is no field of this function's event; write run"),
    "the command line's": ({"run_id": "a", "shards": 2, "save": True}, "event: save: is no field of"),
    "no run": ({"run_id": None, "shards": 2}, "event: run_id: is None; write 1 to 100 letters"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_field_that_an_event_has_not_is_named(slip: str) -> None:
    """The error names the field, and the field that was probably meant, or all fields; no unknown field is ignored."""
    event, expected = SLIPS[slip]
    with pytest.raises(ConfigurationError) as caught:
        functions.checked(functions.FUNCTIONS["plan"], event)
    assert expected in caught.value.problems[0]


ACME = {"settings_path": "/nightly-etl/jobs/acme", "job": "acme"}


@pytest.mark.parametrize("name", sorted(functions.FUNCTIONS))
def test_every_function_s_event_may_name_a_job(name: str) -> None:
    """Its settings are then those of that path; without one, those of the function's own environment."""
    command = functions.FUNCTIONS[name]
    own: dict[str, Any] = {"table": "orders", "limit": 1} if name == "copy_batch" else {"run_id": "tonight"}
    own |= {"shards": 2} if name == "plan" else {}
    process = {"ETL_PARAMETER_PATH": "/own", "HOME": "/"}
    assert functions.checked(command, own).environment(process) == process
    read = functions.checked(command, own | ACME)
    assert read.environment(process) == {"ETL_PARAMETER_PATH": ACME["settings_path"], "ETL_JOB": "acme", "HOME": "/"}
    assert not {"settings_path", "job"} & set(read.asked(command).model_dump())


WRONG_JOBS: dict[str, tuple[dict[str, Any], str]] = {
    "a path alone": ({"settings_path": "/a"}, "event: settings_path and job go together; give both, or neither"),
    "a job alone": ({"job": "acme"}, "event: settings_path and job go together; give both, or neither"),
    "no job": ({"settings_path": "/a", "job": None}, "event: settings_path and job go together"),
    "no path": ({"settings_path": "a b", "job": "acme"}, "event: settings_path: is 'a b'; write a path"),
    "a star": ({"settings_path": "/a*", "job": "acme"}, "event: settings_path: is '/a*'; write a path"),
    "no name": ({"settings_path": "/a", "job": "a b"}, "event: job: is 'a b'; write 1 to 63 letters"),
    "a number": ({"settings_path": 1, "job": "acme"}, "event: settings_path: is 1; write a path"),
    "an empty path": ({"settings_path": "", "job": "acme"}, "event: settings_path: is ''; write a path"),
}


@pytest.mark.parametrize("wrong", WRONG_JOBS)
def test_half_a_job_is_no_job(wrong: str) -> None:
    """An event that names one badly is refused, and not answered for the function's own settings."""
    event, expected = WRONG_JOBS[wrong]
    with pytest.raises(ConfigurationError) as caught:
        functions.checked(functions.FUNCTIONS["report"], {"run_id": "tonight"} | event)
    assert caught.value.problems[0].startswith(expected)


def ended(detail: dict[str, Any]) -> dict[str, Any]:
    """What the rule for stopped executions gives to the function abort, in a deployment of many jobs."""
    return {"run_id": "acme-1", "error": "the execution is ABORTED", "event": {"detail": detail}}


def test_an_abort_takes_the_job_from_the_stopped_execution_s_input() -> None:
    """EventBridge gives the input as a text. An execution without a job has none, which the settings then refuse."""
    abort = functions.FUNCTIONS["abort"]
    read = functions.checked(abort, ended({"input": json.dumps(ACME | {"shards": 2})}))
    assert (read.settings_path, read.job) == (ACME["settings_path"], "acme")
    assert functions.checked(abort, ended({"input": '{"run_date": "2026-11-22"}'})).job is None
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"inputDetails": {"included": False}}, "EventBridge has left out the execution's input"),
        ({"input": "{"}, "the execution's input is not JSON"),
        ({"input": '{"job": "acme"}'}, "settings_path and job go together"),
    ]
    for detail, said in wrong:
        with pytest.raises(ConfigurationError, match=said):
            functions.checked(abort, ended(detail))


def test_all_that_is_wrong_with_an_event_is_told_at_once() -> None:
    """One line for each wrong field."""
    with pytest.raises(ConfigurationError) as caught:
        functions.checked(functions.FUNCTIONS["copy_batch"], {"tabel": "orders", "limit": 0})
    assert [one.split(": ")[1] for one in caught.value.problems] == ["tabel", "table", "limit"]
