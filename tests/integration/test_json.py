"""``--json``: every command prints one document that fits its schema; so do the Lambdas' answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from etl.catalogue import COMMANDS
from etl.commands.answer import plain
from etl.functions import FUNCTIONS
from tests.harness import Databases, Done, Etl
from tests.lambda_runtime import function

FORMS = {command.name: command.json.type for command in COMMANDS if command.json is not None}


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two tables in the source."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n; CREATE TABLE items AS SELECT 1 AS id"
    )
    return databases


def conforms(value: Any, kind: Any) -> Any:
    """Asserts that a value has exactly the fields of its type, and returns it."""
    assert plain(TypeAdapter(kind).validate_json(json.dumps(value))) == value
    return value


def document(done: Done, command: str, status: int = 0) -> Any:
    """Asserts that standard output is one document that fits its schema, and returns it."""
    assert done.status == status, done.stderr
    return conforms(json.loads(done.stdout), FORMS[command])


def test_a_night_in_documents(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """A run and the commands after it, and a second run in several steps; the log is on standard error."""
    told: dict[str, Any] = {}

    def ask(command: str, *arguments: str, status: int = 0, **variables: str) -> Done:
        done = etl(command, *arguments, "--json", **({"TABLES": "*"} | variables))
        told[command] = document(done, command, status)
        return done

    ask("settings")
    ask("init", "--output", str(tmp_path / "nightly-etl.toml"))
    assert told["init"]["tables"] == 2
    ask("check")
    ask("plan", "--shards", "2")
    run = ask("run", ETL_RUN_ID="monday")
    assert '"run.finished"' in run.stderr
    assert (told["run"]["status"], told["run"]["rows"], len(told["run"]["loads"])) == ("published", 101, 2)
    ask("verify")
    ask("plan", "tuesday", "--shards", "1", "--save")
    assert etl("run", TABLES="*", ETL_RUN_ID="tuesday", ETL_PUBLISH="defer").status == 0
    held = ask("snapshot", ETL_RUN_ID="tuesday")
    assert ('"snapshot.not_needed"' in held.stderr, told["snapshot"]["snapshot_id"]) == (True, None)
    ask("publish", "tuesday")
    ask("abort", "tuesday", status=1)
    assert told["abort"] == {"run_id": "tuesday", "status": "published", "dropped": 0}
    ask("report", "tuesday")
    assert (told["report"]["status"], told["report"]["last_published"]["run_id"]) == ("published", "tuesday")
    ask("watch", "tuesday")
    ask("history")
    assert [run["run_id"] for run in told["history"]] == ["tuesday", "monday"]
    ask("retire", "items", "--yes", TABLES="orders")
    assert tables.reporting.value("SELECT to_regclass('items') IS NULL")
    assert set(told) == set(FORMS), "a command without a document"


def test_a_snapshot_that_was_held_is_told(tables: Databases, etl: Etl) -> None:
    """It has the id and the instant that the ledger has for the run."""
    with etl.started("snapshot", "--json", TABLES="*", ETL_RUN_ID="tonight") as holder:
        shard = etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_SNAPSHOT="run", ETL_PUBLISH="defer")
        stdout, stderr = holder.communicate(timeout=60)
    assert (shard.status, holder.returncode) == (0, 0), shard.stderr + stderr
    held = conforms(json.loads(stdout), FORMS["snapshot"])
    assert held["snapshot_id"] == tables.reporting.value("SELECT snapshot_id FROM etl.runs")
    assert (held["tables"], held["reason"]) == (2, "staged")


def test_what_is_wrong_is_in_the_document(tables: Databases, etl: Etl) -> None:
    """Different tables, an obstacle: exit 1; an unknown run: exit 2; and the reason on standard error too."""
    tables.reporting.execute("CREATE TABLE orders (id int); CREATE VIEW items AS SELECT 1 AS id")
    etl = Etl(etl.environment | {"TABLES": "*"})
    compared = document(etl("verify", "--json", TABLES="orders"), "verify", 1)
    assert compared[0]["difference"] == "100 rows in the source, 0 in the target"
    found = document(checked := etl("check", "--json"), "check", 1)
    assert [one["subject"] for one in found if one["obstacle"]] == ["public.items"]
    assert checked.stderr.startswith("etl: 1 thing stands in a run's way: public.items")
    unknown = document(etl("abort", "nobody", "--json"), "abort", 2)
    assert unknown == {"run_id": "nobody", "status": None, "dropped": 0}


def test_a_run_that_fails_prints_no_document(tables: Databases, etl: Etl) -> None:
    """The error is on standard error; ``etl report`` has the details."""
    tables.reporting.execute("CREATE VIEW items AS SELECT 1 AS id")
    failed = etl("run", "--json", TABLES="*", ETL_RUN_ID="tonight")
    assert (failed.status, failed.stdout) == (1, "")
    assert "public.items is a view in the target" in failed.stderr
    told = document(etl("report", "tonight", "--json"), "report")
    assert (told["status"], told["last_published"]) == ("failed", None)


def test_a_report_is_readable_too(tables: Databases, etl: Etl) -> None:
    """It has figures, the slowest tables, and the state of the live tables."""
    assert etl("run", TABLES="*", ETL_RUN_ID="monday").status == 0
    told = etl("report", "monday")
    assert (told.status, told.stderr) == (0, "")
    for expected in ("run monday: published in ", "; 2 tables, 101 rows, ", "public.orders", "readers see run monday"):
        assert expected in told.stdout


def test_the_lambdas_answer_as_their_schemas_say(tables: Databases, etl: Etl) -> None:
    """Each one is called as the state machine calls it."""
    tables.operational.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
    environment = etl.environment | {"TABLES": "*"}
    events: Mapping[str, dict[str, Any]] = {
        "plan": {"run_id": "tonight", "shards": 2},
        "publish": {"run_id": "tonight"},
        "report": {"run_id": "tonight"},
        "abort": {"run_id": "tonight", "error": "too late"},
        "copy_batch": {"table": "orders", "limit": 10},
    }
    assert set(events) == set(FUNCTIONS)
    for name, event in events.items():
        if name == "publish":
            assert etl("run", ETL_RUN_ID="tonight", ETL_PLAN="run", ETL_PUBLISH="defer").status == 0
        answer = FUNCTIONS[name].answer
        assert answer is not None
        with function(f"etl.functions.{name}", environment) as running:
            conforms(running.invoke(event), answer.type)
