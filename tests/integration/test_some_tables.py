"""Tables on the command line, and ``--only-failed``: a run of some of the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import Databases, Etl
from tests.situations import live


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Three tables of one row each in the source."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 1 AS id;"
        "CREATE TABLE audit AS SELECT 1 AS id;"
        "CREATE SCHEMA sales; CREATE TABLE sales.invoice AS SELECT 1 AS id"
    )
    return databases


def published(databases: Databases) -> list[str]:
    """The names of the live tables."""
    return [name for name, _ in live(databases.reporting)]


def test_tables_on_the_command_line_are_those_of_the_run(tables: Databases, etl: Etl) -> None:
    """As elements of TABLES, with patterns and exclusions; they override the variable."""
    done = etl("run", "*", "sales.*", "!audit", TABLES="audit")
    assert (done.status, done.stderr) == (0, "")
    assert published(tables) == ["items", "orders"]
    assert tables.reporting.value("SELECT count(*) FROM sales.invoice") == 1


@pytest.mark.usefixtures("tables")
def test_commands_take_tables_alike(etl: Etl) -> None:
    """check, verify, snapshot's help, and plan by an option, because its argument is the run."""
    assert etl("run", "orders", "items").status == 0
    compared = json.loads(etl("verify", "--json", "items", TABLES="orders").stdout)
    assert [one["table"] for one in compared] == ["public.items"]
    findings = json.loads(etl("check", "--json", "items").stdout)
    assert [one["subject"] for one in findings] == ["source", "target", "public.items"]
    plan = json.loads(etl("plan", "--json", "--shards", "2", "--tables", "orders,items").stdout)
    assert {shard["tables"] for shard in plan["shards"]} == {'["public.orders"]', '["public.items"]'}


def test_an_empty_argument_is_not_the_variable_s_value(tables: Databases, etl: Etl) -> None:
    """`etl run "$LOST"` does not copy all tables instead."""
    done = etl("run", "", TABLES="orders")
    assert (done.status, done.stderr) == (
        2,
        "etl: TABLES on the command line names no table; write names such as orders,sales.invoice or a pattern such"
        " as *\n",
    )
    assert published(tables) == []


def test_a_misspelt_table_is_told_as_everywhere(tables: Databases, etl: Etl) -> None:
    """With the table that was probably meant."""
    done = etl("run", "ordres")
    assert (done.status, done.stderr) == (
        2,
        "etl: TABLES: public.ordres is not in the source; did you mean public.orders?\n",
    )
    assert published(tables) == []


def test_tables_beside_a_plan_are_refused(etl: Etl) -> None:
    """The plan has the tables of its run; an argument that does nothing is an error."""
    done = etl("run", "orders", ETL_PLAN="run", ETL_RUN_ID="r")
    assert (done.status, done.stderr) == (
        2,
        "etl: TABLES on the command line is not read, because ETL_PLAN is run; take one of the two out\n",
    )


def test_only_failed_runs_what_was_not_published(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """Tables whose last load failed, or whose run did, and one that was never loaded; then nothing is left."""
    etl = etl.having(TABLES="orders,items,audit")
    assert etl("run", "orders", "items").status == 0
    tables.operational.execute("INSERT INTO orders VALUES (2); INSERT INTO items VALUES (2)")
    options = tmp_path / "options.toml"
    options.write_text('[items]\nwhere = "1 / (id - id) = 0"\n')
    assert etl("run", "items", ETL_OPTIONS_FILE=str(options)).status == 1
    done = etl("run", "--only-failed")
    assert (done.status, done.stderr) == (0, "")
    said = done.event("run.only_failed")
    assert (said["tables"], said["others"]) == (2, 1)
    assert {event["table"] for event in done.events if event["event"] == "table.loaded"} == {
        "public.items",
        "public.audit",
    }
    assert tables.reporting.value("SELECT count(*) FROM orders") == 1  # another instant, as the help says
    assert tables.reporting.value("SELECT count(*) FROM items") == 2
    again = etl("run", "--only-failed", "--json")
    assert (again.status, json.loads(again.stdout)["tables"]) == (0, 0)
    assert tables.reporting.value("SELECT count(*) FROM etl.runs") == 3


def test_a_run_that_failed_at_its_start_had_any_table(tables: Databases, etl: Etl) -> None:
    """The ledger does not say which tables it had, so all that were not published since are run."""
    etl = etl.having(TABLES="orders,items")
    assert etl("run").status == 0
    tables.operational.execute(
        "CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'; ALTER TABLE items ADD CHECK (odd(id))"
    )
    assert etl("run").status == 1
    assert tables.reporting.value("SELECT count(DISTINCT run_id) FROM etl.loads") == 1
    tables.operational.execute("ALTER TABLE items DROP CONSTRAINT items_id_check")
    assert etl("run", "orders").status == 0
    done = etl("run", "--only-failed")
    assert {event["table"] for event in done.events if event["event"] == "table.loaded"} == {"public.items"}
    assert etl("run", "--only-failed").event("run.only_failed")["tables"] == 0


def test_a_run_that_failed_at_its_start_may_have_loads_of_an_earlier_attempt(tables: Databases, etl: Etl) -> None:
    """With the same ETL_RUN_ID every night, a night that failed later has left them; they say nothing of tonight."""
    etl = etl.having(TABLES="orders,items")
    assert etl("run").status == 0
    tables.reporting.execute("ALTER TABLE items ADD CHECK (id < 2)")
    tables.operational.execute("INSERT INTO items VALUES (2)")
    assert etl("run", ETL_RUN_ID="nightly").status == 1
    tables.reporting.execute("ALTER TABLE items DROP CONSTRAINT items_id_check")
    assert etl("run").status == 0
    assert etl("run", ETL_RUN_ID="nightly", TABLES="orders,ordres").status == 2
    assert etl("run", "--only-failed").event("run.only_failed")["tables"] == 2


def test_only_failed_is_not_for_a_part_of_a_run(etl: Etl) -> None:
    """A shard's tables are the plan's."""
    done = etl("run", "--only-failed", TABLES="orders", ETL_SNAPSHOT="run", ETL_RUN_ID="r")
    assert (done.status, done.stderr.startswith("etl: --only-failed is for a run of one process, and ")) == (2, True)


@pytest.mark.usefixtures("tables")
def test_the_log_says_that_nothing_failed(etl: Etl) -> None:
    """It is all that a run says that had nothing to do."""
    assert etl("run", "orders").status == 0
    done = etl("run", "orders", "--only-failed")
    assert done.status == 0
    assert done.event("run.only_failed")["tables"] == 0
    assert [event["event"] for event in done.events] == ["run.only_failed"]
