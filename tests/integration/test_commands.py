"""The commands beside ``etl run``: publish, abort, verify, check, history; and deferred publishes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.harness import Database, Databases, Etl
from tests.situations import ledger, live, make_orders_and_items

ITEMS_CANNOT_BE_LOADED = (
    "CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
    "ALTER TABLE items ADD CHECK (public.odd(id))"  # a function that the target has not
)


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two tables of one row each in the source."""
    return make_orders_and_items(databases)


@pytest.fixture
def etl(etl: Etl) -> Etl:
    """``etl`` with both tables in TABLES."""
    return etl.having(TABLES="orders,items")


def test_a_deferred_run_is_published_by_a_command(tables: Databases, etl: Etl) -> None:
    """Nothing is live before ``etl publish``; then all tables are, and the ledger says so."""
    done = etl("run", ETL_RUN_ID="tonight", ETL_PUBLISH="defer")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.finished")["status"] == "staged"
    assert live(tables.reporting) == []
    assert tables.reporting.rows("SELECT DISTINCT status FROM etl.loads") == [("staged",)]
    published = etl("publish", ETL_RUN_ID="tonight")
    assert (published.status, published.stderr) == (0, "")
    assert published.event("run.published")["tables"] == 2
    assert [name for name, _ in live(tables.reporting)] == ["items", "orders"]
    assert ledger(tables.reporting) == ("published", None)
    assert tables.reporting.rows("SELECT DISTINCT status, published_at IS NULL FROM etl.loads") == [
        ("published", False)
    ]
    assert tables.staging_tables() == []


def test_an_aborted_run_leaves_nothing_staged(tables: Databases, etl: Etl) -> None:
    """``etl abort`` drops the staging tables and closes the run; live tables stay, and the run cannot be published."""
    assert etl("run").status == 0
    before = live(tables.reporting)
    assert etl("run", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    done = etl("abort", "tonight")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.aborted")["tables"] == 2
    assert tables.staging_tables() == []
    assert live(tables.reporting) == before
    assert ledger(tables.reporting) == ("failed", "aborted")
    assert etl("publish", "tonight").status == 1
    again = etl("abort", "tonight")
    assert (again.status, again.event("run.aborted")["tables"]) == (0, 0)


REFUSALS = {
    "unknown": "run unknown is not in the ledger; `etl history` lists the runs there are",
    "published": "run published is published and has nothing staged to publish",
    "failed": "run failed cannot be published: public.items failed; start a new run",
}


@pytest.mark.parametrize("run_id", REFUSALS)
def test_publish_refuses_a_run_that_is_not_whole(tables: Databases, etl: Etl, run_id: str) -> None:
    """A published run, and one with a failed load: exit 1, nothing touched; an unknown one: exit 2."""
    assert etl("run", ETL_RUN_ID="published").status == 0
    tables.operational.execute(ITEMS_CANNOT_BE_LOADED)
    assert etl("run", ETL_RUN_ID="failed", ETL_PUBLISH="defer", TABLES="items").status == 1
    before = live(tables.reporting)
    done = etl("publish", run_id)
    assert done.status == (2 if run_id == "unknown" else 1)
    assert done.stderr == f"etl: {REFUSALS[run_id]}\n"
    assert live(tables.reporting) == before


def test_publish_and_abort_say_when_there_is_no_ledger(etl: Etl) -> None:
    """On a target without any run, both name the run and create nothing."""
    for command in ("publish", "abort"):
        done = etl(command, "tonight")
        assert (done.status, done.stderr) == (2, f"etl: {REFUSALS['unknown'].replace('unknown', 'tonight')}\n")


def test_abort_refuses_a_published_run(tables: Databases, etl: Etl) -> None:
    """Live tables are never taken away."""
    assert etl("run", ETL_RUN_ID="tonight").status == 0
    done = etl("abort", "tonight")
    assert (done.status, done.stderr) == (1, "etl: run tonight is published already; there is nothing to give up\n")
    assert ledger(tables.reporting) == ("published", None)


def test_verify_names_the_tables_that_differ(tables: Databases, etl: Etl) -> None:
    """Exit 0 when all are the same; 1, with the tables and how they differ, when they are not."""
    assert etl("run").status == 0
    assert etl("verify").status == 0
    tables.reporting.execute("INSERT INTO orders VALUES (2); UPDATE items SET id = 3")
    done = etl("verify", "--json")
    assert done.status == 1
    found = {one["table"]: one["difference"] for one in json.loads(done.stdout)}
    assert found["public.orders"] == "1 rows in the source, 2 in the target"
    assert found["public.items"].startswith("1 rows on both sides, but not the same: checksums ")
    assert done.stderr.startswith("etl: 2 of 2 tables differ: public.items (")
    tables.reporting.execute("DROP TABLE orders")
    gone = etl("verify", TABLES="orders")
    assert gone.status == 1
    assert "public.orders (the target has no table public.orders)" in gone.stderr


def dump(database: Database) -> list[str]:
    """A database's whole contents, as pg_dump writes them."""
    command = [str(database.server.bin / "pg_dump"), "--create", database.url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_check_says_what_a_run_would_do_and_changes_nothing(tables: Databases, etl: Etl) -> None:
    """One line for each database and each table; neither database is changed."""
    tables.reporting.execute("CREATE TABLE orders (id int); CREATE VIEW sums AS SELECT sum(id) FROM orders")
    before = dump(tables.operational), dump(tables.reporting)
    done = etl("check")
    assert (done.status, done.stderr) == (0, "")
    assert (dump(tables.operational), dump(tables.reporting)) == before
    lines = {line.split()[1].rstrip(":"): line for line in done.stdout.splitlines() if "event trigger" not in line}
    for side, database in (("source", tables.operational), ("target", tables.reporting)):
        assert f"PostgreSQL {database.value('SHOW server_version')}" in lines[side]
    assert "replaces the live table" in lines["public.orders"]
    assert "puts back public.sums" in lines["public.orders"]
    assert "is loaded for the first time" in lines["public.items"]


@pytest.fixture
def roles(tables: Databases) -> Iterator[Databases]:
    """A role without rights on each side."""
    for side in (tables.operational, tables.reporting):
        side.execute("CREATE ROLE nobody_much LOGIN")
    yield tables
    for side in (tables.operational, tables.reporting):
        side.execute("DROP OWNED BY nobody_much CASCADE; DROP ROLE nobody_much")


def test_check_names_every_obstacle(roles: Databases, etl: Etl) -> None:
    """Missing privileges on both sides, a read-only target: exit 1, all at once."""
    roles.operational.execute("GRANT SELECT ON orders TO nobody_much")
    roles.operational.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.things (id int)")
    roles.operational.execute("GRANT SELECT ON hidden.things TO nobody_much")
    roles.operational.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    roles.reporting.execute("CREATE SCHEMA hidden")
    roles.reporting.execute("ALTER ROLE nobody_much SET default_transaction_read_only = on")
    urls = {f"ETL_{side.upper()}_URL": getattr(roles, side) for side in ("operational", "reporting")}
    limited = {name: side.server.url(side.name, "nobody_much") for name, side in urls.items()}
    done = etl("check", TABLES="orders,items,hidden.things", **limited)
    assert done.status == 1
    obstacles = [line for line in done.stdout.splitlines() if line.startswith("not ready")]
    for expected in (
        "target: is read-only: default_transaction_read_only is on; ALTER ROLE nobody_much SET default_transaction",
        "which role nobody_much may not create; GRANT CREATE ON DATABASE ",
        "target: does not let role nobody_much create tables in schema public; GRANT CREATE ON SCHEMA public TO",
        "target: does not let role nobody_much create tables in schema hidden; GRANT CREATE ON SCHEMA hidden TO",
        "target: does not let role nobody_much use schema hidden; GRANT USAGE ON SCHEMA hidden TO nobody_much",
        "public.items: role nobody_much of the operational database may not read public.items; GRANT SELECT ON public.",
        "hidden.things: role nobody_much of the operational database may not use schema hidden; GRANT USAGE ON SCHEMA",
        "hides rows of public.orders from role nobody_much; ALTER ROLE nobody_much BYPASSRLS",
    ):
        assert any(expected in line for line in obstacles), (expected, obstacles)
    assert f"etl: {len(obstacles)} things stand in a run's way" in done.stderr


def test_history_tells_the_last_runs(tables: Databases, etl: Etl) -> None:
    """Newest first, with their loads; as JSON with ISO timestamps; one run by its id; empty on a new target."""
    assert "no runs yet" in etl("history").stdout
    for run_id in ("monday", "tuesday"):
        assert etl("run", ETL_RUN_ID=run_id).status == 0
    runs = json.loads(etl("history", "--json").stdout)
    assert [run["run_id"] for run in runs] == ["tuesday", "monday"]
    assert {load["table_name"] for load in runs[0]["loads"]} == {"public.items", "public.orders"}
    assert {load["status"] for run in runs for load in run["loads"]} == {"published"}
    assert datetime.fromisoformat(runs[0]["started_at"]) > datetime.fromisoformat(runs[1]["started_at"])
    assert [run["run_id"] for run in json.loads(etl("history", "--json", "--limit", "1").stdout)] == ["tuesday"]
    text = etl("history", "monday").stdout
    assert "monday" in text
    assert "published" in text
    assert "public.orders" in text
    assert "tuesday" not in text
    unknown = etl("history", "sunday")
    assert (unknown.status, unknown.stderr) == (
        2,
        "etl: run sunday is not in the ledger; `etl history` lists the runs there are\n",
    )
