"""``etl history``: the cause of a failure first, runs that failed early, one table over nights, the last good run."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from etl.sessions import advisory
from tests.harness import Databases, Etl
from tests.integration.test_console import at_terminal, plain
from tests.situations import gate_closed, make_gated, until


@pytest.fixture
def three(databases: Databases) -> Databases:
    """Three tables, copied once."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n;"
        "CREATE TABLE items AS SELECT 1 AS id; CREATE TABLE audit AS SELECT 1 AS id"
    )
    return databases


@pytest.fixture
def guilty(three: Databases, etl: Etl) -> Databases:
    """A run tonight that has failed because of one of its three tables."""
    assert etl("run", TABLES="*", ETL_RUN_ID="yesterday").status == 0
    three.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    three.operational.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    three.operational.execute("ALTER TABLE items ADD CONSTRAINT odd_numbers CHECK (public.odd(id))")
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 1
    return three


def told(etl: Etl, *arguments: str) -> list[dict[str, Any]]:
    """The document of ``etl history``."""
    done = etl("history", *arguments, "--json")
    assert done.status == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_failed_run_shows_its_cause_first_and_marks_the_guilty_table(guilty: Databases, etl: Etl) -> None:
    """The others were staged, and dropped; their errors, which are only the run's, are not shown again."""
    (run,) = told(etl, "tonight")
    assert {load["table_name"]: load["outcome"] for load in run["loads"]} == {
        "public.items": "failed",
        "public.orders": "staged, dropped",
        "public.audit": "staged, dropped",
    }
    lines = [line for line in etl("history", "tonight").stdout.splitlines() if line.strip()]
    print("\n".join(lines))
    assert lines[0].startswith("run tonight: failed, began ")
    assert lines[1].startswith("public.items: ")
    assert "odd_numbers" in lines[1]
    assert lines[2].startswith("1 of 3 tables failed (public.items)")
    assert re.match(r" +table +status +", lines[3])
    assert re.match(r" +public\.items +failed ", lines[5])
    assert sum("odd_numbers" in line for line in lines) == 1


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("arguments", [(), ("tonight",), ("--table", "orders"), ("--last-good",)])
def test_history_fits_a_narrow_terminal(guilty: Databases, etl: Etl, width: int, arguments: tuple[str, ...]) -> None:
    """No line is longer, and no number is cut."""
    status, written = at_terminal(etl, "history", *arguments, width=width)
    assert status == 0, written
    lines = plain(written)
    print("\n".join(lines))
    assert max(len(line.rstrip()) for line in lines) <= width
    assert "100" in written
    assert "…" not in written


EARLY = {
    "an unknown table": ({"TABLES": "order"}, "public.order is not in the source"),
    "a source out of reach": ({"ETL_OPERATIONAL_URL": "postgresql://etl@127.0.0.1:1/x"}, "cannot be reached"),
    "an unknown column": ({"ETL_OPTIONS_FILE": "options.toml"}, "nothing"),
}


@pytest.mark.parametrize("case", EARLY)
def test_a_run_that_failed_early_is_in_history(three: Databases, etl: Etl, tmp_path: Any, case: str) -> None:
    """Before it had its row, and before it had locked anything; but not before the target could be reached."""
    assert etl("run", TABLES="*", ETL_RUN_ID="yesterday").status == 0
    variables, said = EARLY[case]
    (tmp_path / "options.toml").write_text('[orders]\nexclude = ["nothing"]')
    if "ETL_OPTIONS_FILE" in variables:
        variables = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    done = etl("run", **{"TABLES": "*", "ETL_RUN_ID": "tonight", **variables})
    assert done.status != 0
    first, second = told(etl)
    assert (first["run_id"], first["status"], second["run_id"]) == ("tonight", "failed", "yesterday")
    assert said in first["error"]
    assert first["finished_at"] is not None
    assert first["loads"] == []


def test_a_run_that_fails_early_leaves_another_run_of_its_id_alone(three: Databases, etl: Etl) -> None:
    """One that goes on, one that waits for its publish, and one that was published, which gets another id."""
    make_gated(three.operational)
    assert etl("run", TABLES="orders", ETL_RUN_ID="tonight").status == 0
    assert etl("run", TABLES="nothing", ETL_RUN_ID="tonight").status == 2
    assert [run["status"] for run in told(etl)] == ["failed", "published"]
    with (
        gate_closed(three.operational),
        etl.started("run", TABLES="gated", ETL_RUN_ID="tonight"),
    ):
        until(lambda: told(etl, "tonight")[0]["status"] == "running", "the run")
        assert etl("run", TABLES="nothing", ETL_RUN_ID="tonight").status == 2
        assert told(etl, "tonight")[0]["status"] == "running"
    assert etl("run", TABLES="orders", ETL_RUN_ID="after").status == 0
    with psycopg.connect(three.reporting.url, autocommit=True) as living:
        # as a process that is published, and validates foreign keys
        living.execute(advisory.of_runs(["after"]).statement("pg_advisory_lock_shared"))
        assert etl("run", TABLES="nothing", ETL_RUN_ID="after").status == 2
    assert told(etl, "after")[0]["status"] == "published"
    assert etl("run", TABLES="orders", ETL_RUN_ID="later", ETL_PUBLISH="defer").status == 0
    assert etl("run", TABLES="nothing", ETL_RUN_ID="later").status == 2
    assert etl("publish", "later").status == 0


def test_a_night_after_one_of_the_same_id_that_failed_begins_itself(three: Databases, etl: Etl) -> None:
    """It did not take a day; and what failed in the second night failed after what another run has published."""
    assert etl("run", TABLES="*", ETL_RUN_ID="first").status == 0
    assert etl("run", TABLES="nothing", ETL_RUN_ID="nightly").status == 2
    three.reporting.execute(
        "UPDATE etl.runs SET started_at = started_at - interval '1 day', finished_at = finished_at - interval '1 day'"
    )
    assert etl("run", TABLES="orders", ETL_RUN_ID="by-hand").status == 0
    assert etl("run", TABLES="nothing", ETL_RUN_ID="nightly").status == 2
    assert [run["run_id"] for run in told(etl)] == ["nightly", "by-hand", "first"]
    assert etl("run", TABLES="orders", ETL_RUN_ID="nightly").status == 0
    began, ended = (datetime.fromisoformat(told(etl, "nightly")[0][name]) for name in ("started_at", "finished_at"))
    assert ended - began < timedelta(hours=1)


def test_the_nights_of_a_table_say_since_when_it_is_slow(three: Databases, etl: Etl) -> None:
    """With its seconds, rows, bytes and kind of load; only its own loads, and by its bare name too."""
    for night in range(6):
        assert etl("run", TABLES="*", ETL_RUN_ID=f"night-{night}").status == 0
    three.reporting.execute(
        "UPDATE etl.loads SET started_at = started_at - interval '1 day' * (6 - right(run_id, 1)::int),"
        " finished_at = started_at - interval '1 day' * (6 - right(run_id, 1)::int)"
        " + interval '1 second' * CASE WHEN run_id >= 'night-4' THEN 30 ELSE 10 END WHERE table_name = 'public.orders';"
        "UPDATE etl.runs SET started_at = started_at - interval '1 day' * (6 - right(run_id, 1)::int)"
    )
    runs = told(etl, "--table", "orders")
    assert [run["run_id"] for run in runs] == [f"night-{night}" for night in (5, 4, 3, 2, 1, 0)]
    assert [[load["table_name"] for load in run["loads"]] for run in runs] == [["public.orders"]] * 6
    assert [run["loads"][0]["is_slow"] for run in runs] == [True, True, False, False, False, False]
    shown = etl("history", "--table", "public.orders").stdout
    print(shown)
    assert re.search(r"slow since [-\d]+ [:\d]+ \(run night-4\): 30\.0 s, before that 10\.0 s", shown)
    assert re.search(r"night-5 +\w+ +100 +[\d.]+ +30\.00", shown)
    assert [run["run_id"] for run in told(etl, "--table", "orders", "--limit", "2")] == ["night-5", "night-4"]
    unknown = etl("history", "--table", "order")
    assert (unknown.status, unknown.stderr) == (
        2,
        "etl: --table is 'order', of which the ledger has no load; did you mean public.orders?\n",
    )


def test_the_last_good_run_is_the_one_whose_tables_readers_see(guilty: Databases, etl: Etl) -> None:
    """Whatever has failed since."""
    assert [run["run_id"] for run in told(etl, "--last-good")] == ["yesterday"]
    assert [run["run_id"] for run in told(etl, "--table", "items", "--last-good")] == ["yesterday"]
    both = etl("history", "tonight", "--last-good")
    assert (both.status, both.stderr) == (
        2,
        "etl: RUN_ID is one run, and --table and --last-good choose runs; leave one of them out\n",
    )


def test_without_a_good_run_history_says_so(three: Databases, etl: Etl) -> None:
    """And where to look."""
    assert etl("run", TABLES="*", ETL_RUN_ID="monday").status == 0
    three.reporting.execute("UPDATE etl.runs SET status = 'failed'")
    done = etl("history", "--last-good")
    assert (done.status, done.stderr) == (1, "etl: no run is published yet; `etl history` shows why\n")
