"""What others see of a run: its loads in the ledger, ``etl watch``, and lines in the log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.harness import Databases, Etl
from tests.integration.test_console import at_terminal, plain
from tests.situations import ended, gate_closed, locked, make_gated, until, waiting


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """A table whose rows stop halfway while the gate is closed, and two others."""
    make_gated(databases.operational)
    databases.operational.execute("CREATE TABLE small AS SELECT 1 AS id; CREATE TABLE other AS SELECT 1 AS id; ANALYZE")
    return databases


def told(databases: Databases) -> list[tuple[Any, ...]]:
    """The loads that the run tonight has told."""
    if databases.reporting.value("SELECT to_regclass('etl.loads')") is None:
        return []
    return databases.reporting.rows(
        "SELECT table_name, status, step, rows_so_far, bytes_so_far, bytes_expected FROM etl.loads"
        " WHERE run_id = 'tonight' AND told_at IS NOT NULL ORDER BY table_name"
    )


def is_running(databases: Databases) -> bool:
    """Whether the run tonight is in the ledger, and copies rows."""
    found = databases.reporting.rows("SELECT status FROM etl.runs WHERE run_id = 'tonight'")
    return found == [("running",)] and bool(waiting(databases.operational, "COPY"))


def has_looked(databases: Databases, statements: int = 3) -> None:
    """Waits until the run tonight has looked again whether it goes on: by then, it has told what it can.

    While its COPY stands still, its sessions on the target begin no other statements; a look has one or two.
    """
    seen = set[str]()
    newest = (
        "SELECT max(query_start)::text FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'nightly-etl tonight'"
    )

    def again() -> bool:
        seen.add(databases.reporting.value(newest))
        return len(seen) > statements

    until(again, "looks of the run")


@contextmanager
def standing(databases: Databases, etl: Etl, tables: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A run tonight that stands still in its COPY of ``gated``; it goes on to its end when the block ends."""
    with ExitStack() as gate:
        gate.enter_context(gate_closed(databases.operational))
        with etl.started("run", TABLES=tables, ETL_RUN_ID="tonight", **variables) as process:
            yield process
            gate.close()
            if process.poll() is None:
                done = ended(process)
                assert done.status == 0, done.stderr


@pytest.mark.whole
def test_a_load_tells_the_ledger_how_far_it_is(tables: Databases, etl: Etl) -> None:
    """Within seconds, with its rows and bytes so far; one that waits tells nothing. In the end, the ledger has the
    figures of the whole table."""
    with standing(tables, etl, "gated,small", ETL_JOBS="1"):
        until(lambda: told(tables), "progress in the ledger")
        ((name, status, step, rows, size, expected),) = told(tables)
        assert (name, status, step) == ("public.gated", "loading", "rows")
        assert rows >= 0
        assert size >= 0
        assert expected > 0
        seen = json.loads(etl("watch", "tonight", "--json").stdout)
        assert (seen["phase"], seen["tables"], seen["staged"], seen["waiting"]) == ("loading", 2, 1, 0)
        assert [load["table"] for load in seen["loading"]] == ["public.gated"]
        assert (seen["expected_seconds"], seen["expected_at"]) == (None, None), "there is no night before"
        shown = json.loads(etl("history", "tonight", "--json").stdout)
        assert {load["table_name"]: load["outcome"] for load in shown[0]["loads"]} == {
            "public.gated": "loading",
            "public.small": "staged",
        }
        assert (shown[0]["is_alive"], shown[0]["is_dead"]) == (True, False)
    of_gated = tables.reporting.rows("SELECT status, rows FROM etl.loads WHERE table_name = 'public.gated'")
    assert of_gated == [("published", 40_000)]


@pytest.mark.whole
def test_progress_that_cannot_be_told_stops_no_run(tables: Databases, etl: Etl) -> None:
    """A trigger refuses it: the run goes on, and still looks whether somebody has given it up."""
    assert etl("run", TABLES="small").status == 0
    tables.reporting.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF new.told_at IS NOT NULL THEN RAISE 'no'; END IF; RETURN new; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON etl.loads FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    with standing(tables, etl, "gated") as process:
        until(lambda: is_running(tables), "the run")
        has_looked(tables)
        assert (process.poll(), told(tables)) == (None, [])
    assert tables.reporting.value("SELECT status FROM etl.runs WHERE run_id = 'tonight'") == "published"
    with standing(tables, etl, "gated") as process:
        until(lambda: is_running(tables), "the run")
        assert etl("abort", "tonight").status == 0
        until(lambda: process.poll() is not None, "the end of an aborted run", 15)


@pytest.mark.whole
def test_progress_waits_for_no_lock(tables: Databases, etl: Etl) -> None:
    """Neither for one on a row nor for one on the table; when that is free, the next look tells it."""
    assert etl("run", TABLES="small").status == 0
    with standing(tables, etl, "gated"):
        until(lambda: is_running(tables), "the run")
        with tables.reporting.connect() as session, session.transaction():
            session.execute("SELECT FROM etl.loads FOR UPDATE")
            has_looked(tables)
            assert waiting(tables.reporting) == []
            assert told(tables) == []
        until(lambda: told(tables), "progress in the ledger")
        with locked(tables.reporting, "etl.loads", "SHARE ROW EXCLUSIVE"):
            has_looked(tables)


@pytest.mark.whole
def test_watch_prints_lines_until_the_run_has_ended(tables: Databases, etl: Etl) -> None:
    """What is loading, how many are done, when it will have finished; and then how it ended."""
    for _ in range(2):
        assert etl("run", TABLES="gated,small,other").status == 0
    with ExitStack() as stack:
        with standing(tables, etl, "gated,small,other"):
            until(lambda: told(tables), "progress in the ledger")
            watching = stack.enter_context(etl.started("watch"))
            assert watching.stdout is not None
            first = [watching.stdout.readline() for _ in range(2)]
            assert watching.poll() is None
        done = ended(watching)
    print(first, done.stdout)
    assert (done.status, done.stderr) == (0, "")
    assert "public.gated is loading" in "".join(first)
    assert "loading: 2 of 3 tables staged, 1 loading; " in "".join(first)
    assert "; expected to finish at " in "".join(first)
    assert "run tonight: published after " in done.stdout.splitlines()[-1]


@pytest.mark.whole
def test_watch_on_a_terminal_draws_a_picture_and_leaves_one_line(tables: Databases, etl: Etl) -> None:
    """The picture goes when the run has ended."""
    assert etl("run", TABLES="gated,small", ETL_RUN_ID="tonight").status == 0
    status, written = at_terminal(etl, "watch")
    assert status == 0
    assert plain(written)[-1].startswith("run tonight: published after ")
    assert max(map(len, plain(written))) <= 80


def test_watch_says_of_a_run_that_failed_why(tables: Databases, etl: Etl) -> None:
    """Its exit status is 1, with ``--json`` too; without a run there is nothing to watch."""
    none = etl("watch")
    assert (none.status, none.stderr) == (
        2,
        "etl: the target has no ledger yet, so there is no run to watch; start one: `etl run`\n",
    )
    assert etl("run", TABLES="small").status == 0
    unknown = etl("watch", "nobody")
    assert (unknown.status, unknown.stderr) == (
        2,
        "etl: run nobody is not in the ledger; `etl history` lists the runs there are\n",
    )
    assert etl("run", TABLES="smal", ETL_RUN_ID="tonight").status == 2
    failed = etl("watch", "--json")
    assert failed.status == 1
    assert json.loads(failed.stdout)["status"] == "failed"
    assert failed.stderr.startswith("etl: run tonight is failed: ")


@pytest.mark.whole
def test_a_run_whose_process_was_killed_is_dead(tables: Databases, etl: Etl) -> None:
    """The ledger has it as running; nobody has its lock. History and watch say so, with the last sign."""
    with standing(tables, etl, "gated,small") as process:
        until(lambda: told(tables), "progress in the ledger")
        process.kill()
        process.wait()
        until(lambda: etl("watch", "tonight", "--json").status == 1, "the end of its sessions")
        seen = json.loads(etl("watch", "tonight", "--json").stdout)
        assert (seen["status"], seen["phase"], seen["loading"]) == ("dead", "ended", [])
        shown = etl("history", "tonight").stdout
    print(shown)
    assert "run tonight: dead, began " in shown
    assert ", last sign " in shown
    assert "run again, or `etl abort tonight`" in shown
    assert etl("run", TABLES="gated,small").status == 0
    assert "run tonight: interrupted, " in (later := etl("history", "tonight").stdout)
    assert "public.small  " in later
