"""The gate: a night whose tables have too few rows is not published, in each of the ways of publishing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Databases, Done, Etl
from tests.situations import ended, ledger, reading

FILL = "CREATE TABLE {0} (id int PRIMARY KEY); INSERT INTO {0} SELECT generate_series(1, {1})"

PASS = ("--anyway", "--reason", "the archive was moved out, ticket 4711")


@pytest.fixture
def tables(databases: Databases, etl: Etl) -> Databases:
    """Three tables that were published yesterday; tonight one of them is empty, and one has lost two thirds."""
    for name, rows in (("orders", 300), ("items", 300), ("fine", 300)):
        databases.operational.execute(FILL.format(name, rows))
    assert etl("run", ETL_RUN_ID="yesterday", TABLES="*").status == 0
    databases.operational.execute("TRUNCATE orders; DELETE FROM items WHERE id > 100; DELETE FROM fine WHERE id > 200")
    return databases


def live(databases: Databases) -> tuple[int, ...]:
    """The rows of the three live tables."""
    (counts,) = databases.reporting.rows(
        "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM items), (SELECT count(*) FROM fine)"
    )
    return counts


def loads(databases: Databases, run_id: str) -> list[tuple[str, str]]:
    """The tables of a run with their status."""
    return databases.reporting.rows(
        f"SELECT table_name, status FROM etl.loads WHERE run_id = '{run_id}' ORDER BY table_name"
    )


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writes an options file, and returns its name."""

    def write(text: str) -> str:
        file = tmp_path / "options.toml"
        file.write_text(text)
        return str(file)

    return write


def whole(etl: Etl) -> Done:
    """One container."""
    return etl("run", ETL_RUN_ID="tonight", TABLES="*")


def deferred(etl: Etl) -> Done:
    """One container that only stages, and a publish."""
    staged = etl("run", ETL_RUN_ID="tonight", TABLES="*", ETL_PUBLISH="defer")
    assert (staged.status, staged.stderr) == (0, "")
    return etl("publish", "tonight")


def shards(etl: Etl) -> Done:
    """A holder, two shards, and a publish."""
    one = {"ETL_RUN_ID": "tonight", "ETL_PLAN": "run"}
    assert etl("plan", "--shards", "2", "--save", TABLES="*", ETL_RUN_ID="tonight").status == 0
    with etl.started("snapshot", **one) as holder:
        for shard in ("0", "1"):
            done = etl("run", **one, ETL_SNAPSHOT="run", ETL_PUBLISH="defer", ETL_SHARD=shard)
            assert (done.status, done.stderr) == (0, "")
        assert ended(holder).status == 0
    return etl("publish", "tonight")


@pytest.mark.parametrize("night", [whole, deferred, shards])
def test_a_night_that_has_lost_its_rows_is_stopped_and_may_be_let_pass(
    tables: Databases, etl: Etl, night: Callable[[Etl], Done]
) -> None:
    """One line names the tables with both counts; nothing is published until a person says why it is right."""
    done = night(etl)
    assert done.status == 1
    assert live(tables) == (300, 300, 300)
    (line,) = done.stderr.splitlines()
    assert "because 2 tables have too few rows" in line
    assert "`etl publish tonight --anyway --reason TEXT`" in line
    assert "public.items has 100 rows now, 300 when it was last published, by run yesterday" in line
    assert "public.orders has 0 rows now, 300 when" in line
    assert "public.fine" not in line
    assert ledger(tables.reporting, "tonight") == ("stopped", line.removeprefix("etl: "))
    assert done.event("run.stopped")["tables"] == 2
    told = [event for event in done.events if event["event"] == "table.stopped"]
    assert [(event["table"], event["rows"], event["rows_before"]) for event in told] == [
        ("public.items", 100, 300),
        ("public.orders", 0, 300),
    ]
    assert loads(tables, "tonight") == [(f"public.{name}", "staged") for name in ("fine", "items", "orders")]

    assert etl("publish", "tonight").stderr == done.stderr, "a second try says the same, as Lambda may call twice"
    passed = etl("publish", "tonight", *PASS)
    assert (passed.status, passed.stderr) == (0, "")
    assert live(tables) == (0, 100, 200)
    assert tables.staging_tables() == []
    (row,) = tables.reporting.rows(
        f"SELECT status, error, kept_until, passed_by = '{tables.reporting.role}', passed_reason, passed_error = $$"
        f"{line.removeprefix('etl: ')}$$ FROM etl.runs WHERE run_id = 'tonight'"
    )
    assert row == ("published", None, None, True, PASS[2], True)
    again = etl("run", ETL_RUN_ID="next", TABLES="*")
    assert (again.status, again.stderr) == (0, ""), "the next night is held against the rows that were let pass"


def test_every_night_may_have_the_same_id(databases: Databases, etl: Etl, written: Callable[[str], str]) -> None:
    """The last publish stays in the ledger, under the id and its time: for the gate, for masks, and for history."""
    same = {"ETL_RUN_ID": "nightly", "TABLES": "orders"}
    databases.operational.execute(FILL.format("orders", 300) + "; CREATE INDEX by_id ON orders (id)")
    masked = {"ETL_OPTIONS_FILE": written('[orders.mask]\nid = "null"\n[orders]\nshrink_at_most = "off"')}
    for _ in range(2):
        assert etl("run", **same).status == 0
    databases.operational.execute("DROP INDEX by_id; DELETE FROM orders WHERE id > 100")
    assert etl("run", **same).status == 1, "a night of the same id has lost its rows"
    assert databases.reporting.value("SELECT count(*) FROM orders") == 300
    databases.operational.execute("INSERT INTO orders SELECT generate_series(101, 300)")
    assert etl("run", **same).status == 0
    assert databases.reporting.value("SELECT to_regclass('by_id')") is None, "the ledger says whose it was"
    databases.operational.execute("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    assert etl("run", **same, **masked).status == 0
    clear = etl("run", **same)
    assert (clear.status, "would now arrive in clear" in clear.stderr) == (2, True)
    said = json.loads(etl("history", "--json").stdout)
    assert [(run["run_id"].split("@")[0], run["status"]) for run in said] == [
        ("nightly", "failed"),
        *[("nightly", "published")] * 4,
    ]
    assert json.loads(etl("report", said[1]["run_id"], "--json").stdout)["status"] == "published"


def test_the_next_night_takes_over_what_a_stopped_one_has_kept(tables: Databases, etl: Etl) -> None:
    """It is not hindered, even if it loads only one of the tables; the log says that the kept tables are dropped."""
    assert whole(etl).status == 1
    done = etl("run", ETL_RUN_ID="next", TABLES="fine")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.discarded") | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "run.discarded",
        "run_id": "next",
        "stopped_run_id": "tonight",
        "tables": 3,
        "reason": "run next took over public.fine",
    }
    assert tables.staging_tables() == []
    late = etl("publish", "tonight", *PASS)
    assert late.status == 1
    assert (
        "run tonight is stopped, and cannot be let pass any more: public.fine (never published; run next" in late.stderr
    )
    assert live(tables) == (300, 300, 200)
    assert ledger(tables.reporting, "tonight")[0] == "stopped"
    assert tables.reporting.value("SELECT kept_until FROM etl.runs WHERE run_id = 'tonight'") is None


def test_kept_tables_stay_for_their_time_and_are_dropped_by_a_run_after_it(tables: Databases, etl: Etl) -> None:
    """A run of other tables leaves them alone before, and drops them after."""
    assert whole(etl).status == 1
    tables.operational.execute("CREATE TABLE other AS SELECT 1 AS id")
    assert etl("run", ETL_RUN_ID="other", TABLES="other").status == 0
    kept = [name.partition(".")[2] for name in tables.staging_tables() if not name.endswith("_pkey")]
    assert {*kept} == {"orders", "items", "fine"}
    assert etl("history").status == 0
    hours = "SELECT round(extract(epoch FROM kept_until - finished_at) / 3600) FROM etl.runs WHERE run_id = 'tonight'"
    assert tables.reporting.value(hours) == 24
    tables.reporting.execute("UPDATE etl.runs SET kept_until = now() - interval '1 s' WHERE run_id = 'tonight'")
    done = etl("run", ETL_RUN_ID="later", TABLES="other")
    assert done.event("run.discarded")["reason"] == "the time for which they were kept is over"
    assert tables.staging_tables() == []
    assert etl("publish", "tonight", *PASS).status == 1


def test_nothing_is_kept_where_nothing_is_to_be_kept(tables: Databases, etl: Etl) -> None:
    """With ETL_KEEP_STOPPED=0 the staging tables are dropped at once, and the message offers no way to let it pass."""
    done = etl("run", ETL_RUN_ID="tonight", TABLES="*", ETL_KEEP_STOPPED="0")
    assert done.status == 1
    assert "--anyway" not in done.stderr
    assert tables.staging_tables() == []
    assert ledger(tables.reporting, "tonight")[0] == "stopped"
    assert {status for _, status in loads(tables, "tonight")} == {"failed"}
    assert etl("publish", "tonight", *PASS).status == 1
    assert live(tables) == (300, 300, 300)


def test_abort_gives_up_a_stopped_run(tables: Databases, etl: Etl) -> None:
    """A person need not wait a day for the room on the disk."""
    assert whole(etl).status == 1
    assert etl("abort", "tonight").status == 0
    assert tables.staging_tables() == []
    assert etl("publish", "tonight", *PASS).status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--anyway"], 2, "--anyway and --reason TEXT go together; give both, or neither"),
        (["--anyway", "--reason", "  "], 2, "--anyway and --reason TEXT go together; give both, or neither"),
        (["--reason", "it is right"], 2, "--anyway and --reason TEXT go together; give both, or neither"),
        (PASS, 1, "run waits is running, and --anyway is for a run that is stopped; leave it out"),
    ],
)
def test_a_run_is_let_pass_for_a_reason_only(
    databases: Databases, etl: Etl, arguments: list[str], status: int, says: str
) -> None:
    """And only a run that was stopped: nobody lets a night pass before its counts are known."""
    databases.operational.execute(FILL.format("orders", 3))
    assert etl("run", ETL_RUN_ID="waits", TABLES="*", ETL_PUBLISH="defer").status == 0
    done = etl("publish", "waits", *arguments)
    assert (done.status, done.stderr.strip()) == (status, f"etl: {says}")


def test_a_run_is_not_let_pass_over_newer_rows(tables: Databases, etl: Etl) -> None:
    """Batches, or an older version, have changed some of the live tables meanwhile."""
    assert whole(etl).status == 1
    tables.reporting.execute(
        "INSERT INTO etl.loads (run_id, table_name, status, schema_name, relation_name, published_at)"
        " VALUES ('by hand', 'public.items', 'published', 'public', 'items', now() + interval '1 s');"
        "INSERT INTO etl.watermarks VALUES ('public.fine', 7, now() + interval '1 s')"
    )
    done = etl("publish", "tonight", *PASS)
    assert done.status == 1
    newer = "newer rows were published since: public.fine by a batch, public.items by run by hand; start a new run"
    assert newer in done.stderr
    assert live(tables) == (300, 300, 300)


def test_a_run_is_not_let_pass_without_its_rows(tables: Databases, etl: Etl) -> None:
    """An older version does not know that stopped runs keep their tables, and drops them as leftovers."""
    assert whole(etl).status == 1
    tables.reporting.execute("DROP TABLE etl_staging_public.items")
    done = etl("publish", "tonight", *PASS)
    assert (done.status, live(tables)) == (1, (300, 300, 300))
    assert "the staging tables of public.items are gone; start a new run" in done.stderr


def test_a_run_that_was_let_pass_and_blocked_may_be_published_again(tables: Databases, etl: Etl) -> None:
    """It keeps its place: it was let pass, and its tables are kept for as long as before."""
    assert whole(etl).status == 1
    with reading(tables.reporting, "fine"):
        blocked = etl("publish", "tonight", *PASS, ETL_PUBLISH_DEADLINE="1")
    assert (blocked.status, "were in use" in blocked.stderr) == (1, True)
    assert ledger(tables.reporting, "tonight")[0] == "stopped"
    again = etl("publish", "tonight")
    assert (again.status, again.stderr, live(tables)) == (0, "", (0, 100, 200))


OPTIONS = """
[defaults]
shrink_at_most = "40%"
[orders]
shrink_at_most = "off"
[items]
shrink_at_most = "70%"
[fine]
where = "id <= 200"
"""


def test_the_options_decide_and_the_message_says_which(
    tables: Databases, etl: Etl, written: Callable[[str], str]
) -> None:
    """Off, a wider percentage, and a table that shrinks because its filter has changed."""
    tables.operational.execute("INSERT INTO fine SELECT generate_series(201, 300)")
    done = etl("run", ETL_RUN_ID="tonight", TABLES="*", ETL_OPTIONS_FILE=written(OPTIONS))
    assert (done.status, done.stderr) == (0, ""), "a third of its rows may go"
    narrower = OPTIONS.replace("200", "100")
    done = etl("run", ETL_RUN_ID="narrower", TABLES="*", ETL_OPTIONS_FILE=written(narrower))
    assert done.status == 1
    assert (
        "because 1 table has too few rows; if that is right, `etl publish narrower --anyway --reason TEXT`"
        in done.stderr
    )
    assert (
        "public.fine has 100 rows now, 200 when it was last published, by run tonight, and its where is another one"
        ' than then (shrink_at_most = "40%")'
    ) in done.stderr


def test_a_publish_without_the_options_judges_by_those_of_the_loads(
    tables: Databases, etl: Etl, written: Callable[[str], str]
) -> None:
    """A table that may lose its rows passes, and one that has too few stops the run, as the run's options say."""
    for run_id, rule, status in (("fewer", "rows_min = 201", 1), ("right", "rows_min = 200", 0)):
        options = written(f'[defaults]\nshrink_at_most = "off"\n[fine]\n{rule}')
        staged = {"ETL_RUN_ID": run_id, "TABLES": "*", "ETL_PUBLISH": "defer"}
        assert etl("run", **staged, ETL_OPTIONS_FILE=options).status == 0
        done = etl("publish", run_id)
        assert (done.status, "public.fine has 200 rows now" in done.stderr) == (status, status == 1)


def test_a_first_night_is_held_against_rows_min_alone(
    databases: Databases, etl: Etl, written: Callable[[str], str]
) -> None:
    """There is nothing to compare with, neither in a fresh target nor for a table under a new name."""
    databases.operational.execute(FILL.format("orders", 300))
    options = "[orders]\nrows_min = 301"
    done = etl("run", ETL_RUN_ID="first", TABLES="*", ETL_OPTIONS_FILE=written(options))
    assert done.status == 1
    assert done.stderr.endswith("public.orders has 300 rows now (rows_min = 301)\n")
    assert etl("run", ETL_RUN_ID="second", TABLES="*").status == 0
    databases.operational.execute("DELETE FROM orders WHERE id > 100")
    renamed = etl("run", ETL_RUN_ID="renamed", TABLES="*", ETL_OPTIONS_FILE=written('[orders]\nrename = "sales"'))
    assert (renamed.status, renamed.stderr) == (0, "")
    assert etl("run", ETL_RUN_ID="third", TABLES="*").status == 1


def test_another_source_of_a_live_table_is_held_against_what_readers_have(
    databases: Databases, etl: Etl, written: Callable[[str], str]
) -> None:
    """The live table counts; the partitions of a partitioned table are counted together."""
    databases.operational.execute(
        FILL.format("orders", 300) + "; CREATE TABLE parts (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (150);"
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (150) TO (1000);"
        "INSERT INTO parts SELECT generate_series(1, 300)"
    )
    assert etl("run", ETL_RUN_ID="first", TABLES="orders").status == 0
    options = '[parts]\nrename = "orders"\nsplit = 2'
    done = etl("run", ETL_RUN_ID="second", TABLES="parts", ETL_OPTIONS_FILE=written(options))
    assert (done.status, done.stderr) == (0, "")
    databases.operational.execute("TRUNCATE parts_2; DELETE FROM parts WHERE id > 100")
    done = etl("run", ETL_RUN_ID="third", TABLES="parts", ETL_OPTIONS_FILE=written(options))
    assert "public.parts has 100 rows now, 300 when it was last published, by run second" in done.stderr
