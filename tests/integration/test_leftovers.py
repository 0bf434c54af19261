"""Killed runs and concurrent runs: which objects of other runs a run removes, and which it leaves alone."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest

from etl.model import limits
from etl.model.name import TargetName
from etl.sessions.postgres import target_session
from etl.sessions.url import DatabaseUrl
from etl.target import staging
from tests.harness import Databases, Etl
from tests.situations import ended, gate_closed, kill_control, ledger, locked, make_gated, until, waiting

pytestmark = pytest.mark.whole

COPY = "COPY (/* etl: copy out */ SELECT"


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two tables, and a relation whose COPY a test can stop."""
    make_gated(databases.operational)
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 1 AS id")
    return databases


def killed(databases: Databases, etl: Etl, run_id: str, tables: str, **variables: str) -> None:
    """Runs until ``gated`` stands still and all other tables are staged, then kills the process."""
    staged = f"SELECT count(*) = {tables.count(',')} FROM etl.loads WHERE run_id = '{run_id}' AND status = 'staged'"
    running = etl.started("run", ETL_RUN_ID=run_id, TABLES=tables, **variables)
    with gate_closed(databases.operational), running as process:
        until(lambda: waiting(databases.operational, COPY) and databases.reporting.value(staged), "all but gated")
        process.send_signal(signal.SIGKILL)
        process.wait()
    gone = f"SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'nightly-etl {run_id}'"
    until(lambda: databases.reporting.value(gone), "the killed run's sessions are gone")


def test_the_next_run_clears_what_a_killed_one_left(tables: Databases, etl: Etl) -> None:
    """The next run drops all its staging tables, also of tables it does not copy; its status becomes interrupted."""
    killed(tables, etl, "dead", "orders,items,gated")
    assert tables.staging_tables() == ["etl_staging_public.items", "etl_staging_public.orders"]
    assert ledger(tables.reporting, "dead")[0] == "running"
    done = etl("run", ETL_RUN_ID="next", TABLES="orders")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.cleared")["dead_run_id"] == "dead"
    assert tables.staging_tables() == []
    assert ledger(tables.reporting, "dead") == ("interrupted", "killed; run next cleared up after it")
    assert {status for (status,) in tables.reporting.rows("SELECT status FROM etl.loads WHERE run_id = 'dead'")} == {
        "failed"
    }
    assert ledger(tables.reporting, "next") == ("published", None)
    night = json.loads(etl("report", "dead", "--json").stdout)["night"]
    assert ": killed; run next cleared up after it; " in night["sentence"], "no table has failed"
    assert {table["table"]: table["outcome"] for table in night["tables"]} == {
        "public.orders": "staged, dropped",  # which the next run has taken over
        "public.items": "staged, dropped",
        "public.gated": "given up",
    }


def test_a_killed_run_is_repeated_under_its_own_id(tables: Databases, etl: Etl) -> None:
    """Step Functions restarts a dead container with the same run id, and it does the whole run again."""
    killed(tables, etl, "tonight", "orders,gated")
    done = etl("run", ETL_RUN_ID="tonight", TABLES="orders,gated")
    assert (done.status, done.stderr) == (0, "")
    assert ledger(tables.reporting) == ("published", None)
    assert tables.staging_tables() == []


def test_a_run_leaves_alone_what_waits_for_its_publish(tables: Databases, etl: Etl) -> None:
    """A deferred run's staging tables and its row in the ledger stay, through another run and a killed one."""
    assert etl("run", ETL_RUN_ID="waits", TABLES="orders", ETL_PUBLISH="defer").status == 0
    killed(tables, etl, "dead", "items,gated")
    assert etl("run", ETL_RUN_ID="next", TABLES="items").status == 0
    assert tables.staging_tables() == ["etl_staging_public.orders"]
    assert ledger(tables.reporting, "waits") == ("running", None)
    assert etl("publish", "waits").status == 0
    assert tables.reporting.rows("SELECT * FROM orders") == [(1,)]


def test_a_run_leaves_alone_what_another_is_loading(tables: Databases, etl: Etl) -> None:
    """Two runs of different tables work side by side; neither drops, publishes or closes the other's tables."""
    with etl.started("run", ETL_RUN_ID="slow", TABLES="orders,gated") as process:
        with gate_closed(tables.operational):
            until(lambda: waiting(tables.operational, COPY), "the slow run's COPY stands still")
            until(lambda: "etl_staging_public.orders" in tables.staging_tables(), "its other table is staged")
            assert etl("run", ETL_RUN_ID="quick", TABLES="items").status == 0
            assert "etl_staging_public.orders" in tables.staging_tables()
            assert ledger(tables.reporting, "slow") == ("running", None)
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    assert ledger(tables.reporting, "slow") == ("published", None)


def test_a_run_takes_over_a_table_that_another_had_staged(tables: Databases, etl: Etl) -> None:
    """The earlier run can no longer be published, not even in part, and the ledger names the later run."""
    assert etl("run", ETL_RUN_ID="waits", TABLES="orders,items", ETL_PUBLISH="defer").status == 0
    assert etl("run", ETL_RUN_ID="next", TABLES="items").status == 0
    done = etl("publish", "waits")
    assert done.status == 1
    assert done.stderr == "etl: run waits cannot be published: public.items failed; start a new run\n"
    assert tables.reporting.rows(
        "SELECT error FROM etl.loads WHERE run_id = 'waits' AND table_name = 'public.items'"
    ) == [("never published; run next took the table over",)]


def test_a_second_run_of_a_table_fails_at_once_and_names_the_first(tables: Databases, etl: Etl) -> None:
    """It does not wait or touch the first run's staging tables, and the first run continues."""
    with etl.started("run", ETL_RUN_ID="first", TABLES="orders,items") as process:
        with locked(tables.operational, "orders"):
            until(lambda: waiting(tables.operational), "the first run waits for orders")
            done = etl("run", ETL_RUN_ID="second", TABLES="gated,items")
        first = ended(process)
    assert done.status == 1
    assert done.stderr.startswith("etl: public.items is being loaded by run first, pid ")
    assert done.stderr.endswith("; wait for it to end, or stop it\n")
    assert (first.status, first.stderr) == (0, "")
    assert tables.reporting.rows("SELECT run_id, status FROM etl.runs") == [("first", "published")]


def test_a_deferred_run_that_was_killed_is_never_published(tables: Databases, etl: Etl) -> None:
    """A partial night must not become live: publish names the missing tables, and the next run drops the others."""
    killed(tables, etl, "dead", "items,gated", ETL_PUBLISH="defer")
    done = etl("publish", "dead")
    assert (done.status, done.stderr) == (
        1,
        "etl: run dead cannot be published: public.gated not staged, and perhaps never will be; start a new run\n",
    )
    assert etl("run", ETL_RUN_ID="next", TABLES="orders").status == 0
    assert tables.staging_tables() == []
    assert ledger(tables.reporting, "dead")[0] == "interrupted"


def test_a_run_that_lost_its_locks_cannot_slip_its_rows_into_another_run(tables: Databases, etl: Etl) -> None:
    """The publish notices rows that such a run wrote to another run's staging table, and fails."""
    tables.operational.execute("CREATE TABLE day AS SELECT 'yesterday' AS day; CREATE VIEW late AS TABLE day")
    with etl.started("run", TABLES="gated,late", ETL_RUN_ID="tonight", ETL_JOBS="1") as process:
        with gate_closed(tables.operational):
            until(lambda: waiting(tables.operational, COPY), "the first run's COPY stands still")
            kill_control(tables.reporting)
            tables.operational.execute("UPDATE day SET day = 'today'")
            assert etl("run", TABLES="late", ETL_RUN_ID="second", ETL_PUBLISH="defer").status == 0
        assert ended(process).status == 1
    done = etl("publish", "second")
    if done.status == 0:
        assert tables.reporting.rows("SELECT * FROM late") == [("today",)]
    else:
        assert "is no longer staged" in done.stderr


IN_USE = {
    "a staging table": "etl_staging_public.mine",
    "an old table": "etl_stagingold_public.mine",
    "the TOAST table of an old one": "etl_stagingold_public.mine",
}


@pytest.mark.parametrize("kind", IN_USE)
@pytest.mark.parametrize("within", [False, True])
async def test_a_table_in_use_is_left_and_named(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, kind: str, within: bool
) -> None:
    """pg_dump locks all tables for hours: no drop waits for it, and all others are dropped."""
    monkeypatch.setattr(limits, "DROP_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(limits, "DROP_ALONE_LOCK_SECONDS", 0.1)
    tables = [TargetName("public", name) for name in ("mine", "other")]
    places = [place for table in tables for place in (table.staging, table.aside)]
    for schema in ("etl_staging_public", "etl_stagingold_public"):
        databases.reporting.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.mine (v text);"
                                    f"CREATE TABLE {schema}.other (v text)")  # fmt: skip
    of = "reltoastrelid" if "TOAST" in kind else "oid"
    used = databases.reporting.value(f"SELECT {of}::regclass FROM pg_class WHERE oid = '{IN_USE[kind]}'::regclass")
    with databases.reporting.connect(application_name="pg_dump") as dump:
        dump.execute(f"BEGIN; SELECT FROM {used}".encode())
        url = DatabaseUrl.parse(databases.reporting.url)
        async with (
            target_session(url, "test", lock_timeout="7s") as target,
            target.transaction() if within else nullcontext(),
        ):
            kept = await staging.drop_staged(target, places)
            said = await (await target.execute(b"SHOW lock_timeout")).fetchone()
        (left, reason), *others = kept.items()
        assert (others, said) == ([], {"lock_timeout": "7s"})
        assert reason.startswith(f"{left} cannot be dropped: it is in use by ")
        assert "TOAST" in kind or f"pid {dump.info.backend_pid} (postgres, pg_dump); end that session" in reason
        assert left_tables(databases) == [str(left)]
        dump.execute("COMMIT")


def left_tables(databases: Databases) -> list[str]:
    """The tables that are left in etl's schemas."""
    found = databases.reporting.rows(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'etl%'"
    )
    return [name for (name,) in found]


def test_the_next_night_does_not_wait_for_what_uses_a_kept_table(tables: Databases, etl: Etl) -> None:
    """A night was stopped, and pg_dump has locked what it keeps: the next one of another table goes on without it."""
    tables.operational.execute("CREATE TABLE shrinks AS SELECT 1 AS id")
    assert etl("run", TABLES="shrinks,orders", ETL_RUN_ID="first").status == 0
    tables.operational.execute("TRUNCATE shrinks")
    assert etl("run", TABLES="shrinks,orders", ETL_RUN_ID="stopped").status == 1
    with locked(tables.reporting, "etl_staging_public.shrinks", "ACCESS SHARE"):
        done = etl("run", TABLES="orders", ETL_RUN_ID="next")
        assert (done.status, done.event("run.finished")["status"]) == (0, "published")
        kept = [event["error"] for event in done.events if event["event"] == "table.kept"]
        assert kept[0].startswith("etl_staging_public.shrinks cannot be dropped: it is in use by pid")
    assert etl("run", TABLES="orders", ETL_RUN_ID="last").status == 0
    assert tables.staging_tables() == []


def test_a_users_own_table_in_a_schema_that_looks_like_staging_stays(tables: Databases, etl: Etl) -> None:
    """etl drops only tables that are in the ledger, whatever their schema is called."""
    tables.reporting.execute("CREATE SCHEMA etl_staging_area; CREATE TABLE etl_staging_area.mine AS SELECT 7 AS id")
    killed(tables, etl, "dead", "items,gated")
    assert etl("run", TABLES="orders").status == 0
    assert tables.staging_tables() == ["etl_staging_area.mine"]


def test_the_old_table_of_a_killed_swap_is_dropped_before_a_publish_in_place(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Such a publish puts no table aside, so nothing would be in its way."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    assert etl("run", TABLES="orders").status == 0
    assert etl("run", TABLES="orders").status == 0
    databases.reporting.execute("CREATE TABLE etl_stagingold_public.orders AS TABLE orders")
    (tmp_path / "options.toml").write_text('[orders]\npublish = "in-place"\n')
    done = etl("run", TABLES="orders", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
    assert (done.status, done.stderr) == (0, "")
    assert databases.staging_tables() == []
