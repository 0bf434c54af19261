"""The runbook answers an operator's questions (docs/operations.md, "What an operator asks"), to the letter."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.postgres import Server
from tests.harness import Database, Databases, Etl

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def answer(question: str) -> str:
    """The section of the runbook that answers a question."""
    return PAGE.partition(f"### {question}\n")[2].partition("\n##")[0]


@pytest.fixture
def shop(databases: Databases, etl: Etl) -> Databases:
    """Two tables after a night, with a view, privileges and an index of the reporting side."""
    databases.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, email text); CREATE TABLE items (id int PRIMARY KEY);"
        "INSERT INTO orders SELECT n, 'x' FROM generate_series(1, 100) n; INSERT INTO items VALUES (1)"
    )
    assert etl("run", TABLES="orders,items", ETL_RUN_ID="monday").status == 0
    databases.reporting.execute(
        "CREATE VIEW open_orders AS SELECT id FROM orders; GRANT SELECT ON orders, open_orders TO PUBLIC;"
        "CREATE INDEX added ON orders (email)"
    )
    return databases


@contextmanager
def new_target(old: Database) -> Iterator[Database]:
    """An empty database on the same server."""
    name = f"{old.name}_new"
    old.server.psql(f"CREATE DATABASE {name}")
    yield Database(old.server, name, old.role)
    old.server.psql(f"DROP DATABASE {name} WITH (FORCE)")


def dumped(server: Server, command: str, old: Database, new: Database) -> None:
    """Runs a line of the runbook; OLD and NEW stand for the databases."""
    for name, database in {"OLD": old, "NEW": new}.items():
        command = re.sub(rf"\b{name}\b", f"'{database.url}'", command)
    bins = f"PATH={server.bin}:$PATH; set -o pipefail; {command}"
    done = subprocess.run(["bash", "-c", bins], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.superuser("owns what pg_dump restores")
def test_a_new_target_gets_all_that_the_reporting_side_had(shop: Databases, etl: Etl) -> None:
    """By the three commands of the page; the rows come by the night, and the history with the ledger."""
    said = answer("How do I move to a new target?")
    commands = [line.partition("#")[0].strip() for line in said.splitlines() if line.startswith("pg_dump")]
    assert len(commands) == 2
    with new_target(shop.reporting) as new:
        for command in commands:
            dumped(shop.reporting.server, command, shop.reporting, new)
        there = {"TABLES": "orders,items", "ETL_REPORTING_URL": new.etl_url}
        assert etl("check", **there).status == 0
        done = etl("run", ETL_RUN_ID="tuesday", **there)
        assert (done.status, done.stderr) == (0, "")
        assert etl("verify", **there).status == 0
        assert new.value("SELECT count(*) FROM open_orders") == 100
        assert new.value("SELECT has_table_privilege('public', 'open_orders', 'SELECT')")
        assert new.value("SELECT count(*) FROM pg_indexes WHERE indexname = 'added'") == 1
        told = json.loads(etl("history", "--json", **there).stdout)
        assert [(run["run_id"], run["status"]) for run in told] == [("tuesday", "published"), ("monday", "published")]
        assert {load["load"] for load in told[0]["loads"]} == {"full"}
        wednesday = etl("run", ETL_RUN_ID="wednesday", **there)
        assert {event["load"] for event in wednesday.events if event["event"] == "table.loaded"} == {"unchanged"}


def test_one_table_again_is_newer_than_the_others_until_the_next_night(shop: Databases, etl: Etl) -> None:
    """And the query of the page says which run published what."""
    shop.operational.execute("INSERT INTO orders VALUES (101, 'x'); INSERT INTO items VALUES (2)")
    assert etl("run", TABLES="orders", ETL_RUN_ID="again").status == 0
    counts = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM items)"
    assert shop.reporting.rows(counts) == [(101, 1)]
    (query,) = re.findall(r"```sql\n(.*?)```", answer("Which run published what I see?"), re.DOTALL)
    assert [row[1:3] for row in shop.reporting.rows(query)] == [("orders", "again"), ("items", "monday")]
    assert etl("run", TABLES="orders,items").status == 0
    assert shop.reporting.rows(counts) == [(101, 2)]


def test_a_renamed_table_keeps_its_name_for_readers(shop: Databases, etl: Etl, tmp_path: Path) -> None:
    """With the option ``rename``: views and privileges stay where they are."""
    shop.operational.execute("ALTER TABLE orders RENAME TO sales; INSERT INTO sales VALUES (101, 'x')")
    (tmp_path / "options.toml").write_text('[sales]\nrename = "orders"')
    done = etl("run", TABLES="sales,items", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
    assert (done.status, done.stderr) == (0, "")
    assert shop.reporting.value("SELECT count(*) FROM open_orders") == 101
    assert shop.reporting.value("SELECT has_table_privilege('public', 'orders', 'SELECT')")
    assert shop.reporting.value("SELECT to_regclass('public.sales')") is None


def test_a_renamed_table_with_its_new_name_needs_the_old_indexes_names(shop: Databases, etl: Etl) -> None:
    """The run says so before it copies; when the old live table is dropped, it arrives."""
    shop.operational.execute("ALTER TABLE orders RENAME TO sales")
    failed = etl("run", TABLES="sales,items")
    assert failed.status == 1
    assert "index orders_pkey of public.sales cannot arrive" in failed.stderr
    shop.reporting.execute("DROP TABLE orders CASCADE")
    assert etl("run", TABLES="sales,items").status == 0


def test_a_retired_table_stays_as_it_was(shop: Databases, etl: Etl) -> None:
    """No run touches it, so `etl retire` has to drop it; then no run misses it."""
    shop.operational.execute("DELETE FROM orders WHERE id > 50; INSERT INTO items VALUES (2)")
    assert etl("run", TABLES="items").status == 0
    assert shop.reporting.value("SELECT count(*) FROM orders") == 100
    assert "public.orders" in etl("check", TABLES="items").stdout
    shop.reporting.execute("DROP VIEW open_orders")
    retired = etl("retire", "orders", "--yes", TABLES="items")
    assert (retired.status, retired.stderr) == (0, "")
    assert shop.reporting.value("SELECT to_regclass('public.orders')") is None
    assert etl("run", TABLES="items").status == 0
