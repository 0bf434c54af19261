"""Readers of the reporting database during many publishes: no errors, short waits, and the view of old snapshots."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from servers.postgres import FAST, Server
from servers.programs import system_bin, wheel_bin
from tests.harness import TIMEOUT, Database, Databases, Etl
from tests.situations import ended, live, reading, until, waiting

pytestmark = pytest.mark.whole

TABLES = 100
PUBLISHES = int(os.environ.get("ETL_TEST_PUBLISHES", "10"))
"""`make test-load` makes 20."""
WAIT = 1.0
"""Seconds that a reader may wait for a publish of all tables on a busy machine; on a quiet one it is under 0.1."""

HELD = float(os.environ.get("ETL_TEST_HELD", "15"))
"""Seconds for which the longest report holds its lock; in `make test-load` it is a minute."""

IN_PLACE = '[defaults]\npublish = "in-place"\n'


@dataclass(slots=True)
class Readers:
    """What pgbench's readers saw: the milliseconds of each of their transactions, and what went wrong."""

    milliseconds: list[float] = field(default_factory=list)
    errors: str = ""


@contextmanager
def readers(database: Database, script: str, clients: int, rate: int | None = None) -> Iterator[Readers]:
    """Lets pgbench read with a script for as long as the block lasts; gives what they saw at its end."""
    seen = Readers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        command = [str(database.server.bin / "pgbench"), "--no-vacuum", f"--file={path}", f"--client={clients}"]
        command += ["--time=3600", "--log", f"--log-prefix={folder}/log", *([f"--rate={rate}"] if rate else [])]
        application = f"readers-{Path(folder).name}"
        process = subprocess.Popen(
            [*command, f"{database.url}?application_name={application}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            sessions = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'"
            until(lambda: database.value(sessions) == clients, "the readers have come")
            yield seen
        finally:
            gone = process.poll()
            process.send_signal(signal.SIGINT)
            _, seen.errors = process.communicate(timeout=TIMEOUT)
        assert gone is None, f"pgbench ended by itself: {seen.errors}"
        lines = [line.split() for log in Path(folder).glob("log*") for line in log.read_text().splitlines()]
        # client, transaction, latency in µs, script, epoch, µs, and with --rate the lag, which is pgbench's own
        lag = 6 if rate else None
        seen.milliseconds = [
            (int(line[2]) - (int(line[lag]) if lag else 0)) / 1000 for line in lines if len(line) == (7 if rate else 6)
        ]


@pytest.fixture
def many(databases: Databases, etl: Etl) -> Databases:
    """A hundred small tables with two indexes each, copied once."""
    databases.operational.execute(
        f"DO $$ BEGIN FOR i IN 1..{TABLES} LOOP EXECUTE format("
        "'CREATE TABLE t%s (id int PRIMARY KEY, note text); CREATE INDEX ON t%1$s (note);"
        " INSERT INTO t%1$s SELECT g, repeat(''x'', 20) FROM generate_series(1, 50) g', i); END LOOP; END $$"
    )
    assert etl("run", TABLES="t*").status == 0
    return databases


def test_nobody_sees_an_error_and_nobody_waits_long(many: Databases, etl: Etl) -> None:
    """Simple selects of random tables, through publishes of all of them: their longest wait is one publish."""
    blocked: list[float] = []
    script = f"\\set t random(1, {TABLES})\nSELECT count(*) FROM t:t;\n"
    with readers(many.reporting, script, clients=4, rate=400) as seen:
        for _ in range(PUBLISHES):
            done = etl("run", TABLES="t*")
            assert (done.status, done.stderr) == (0, "")
            blocked.append(done.event("run.published")["blocked_ms"])
    assert "error" not in seen.errors.lower()
    assert len(seen.milliseconds) > 100 * PUBLISHES
    print(
        f"{PUBLISHES} publishes of {TABLES} tables, {len(seen.milliseconds)} reads: the longest took"
        f" {max(seen.milliseconds):.0f} ms; blocked_ms was {min(blocked):.0f} to {max(blocked):.0f}"
    )
    assert max(seen.milliseconds) < 1000 * WAIT


def test_long_readers_hold_the_publish_up_and_others_go_on(many: Databases, etl: Etl) -> None:
    """One report holds its lock for long, others for two seconds: the publish waits, and nobody sees an error."""
    pick, read = f"\\set t random(1, {TABLES})\n", "SELECT count(*) FROM t:t;\n"
    long, short = f"{pick}BEGIN;\n{read}\\sleep 2 s\n{read}COMMIT;\n\\sleep 1 s\n", pick + read
    attempts = []
    with readers(many.reporting, short, clients=4, rate=400) as seen:
        with etl.started("run", TABLES="t*") as process:
            with reading(many.reporting, "t7"):
                ends = time.monotonic() + HELD
                until(lambda: time.monotonic() > ends, "the report ends", seconds=2 * HELD)
                assert process.poll() is None, "the publish did not wait"
            done = ended(process)
        assert (done.status, done.stderr) == (0, "")
        attempts.append(done.event("run.published")["attempts"])
        with readers(many.reporting, long, clients=1) as reports:
            for _ in range(PUBLISHES - 1):
                done = etl("run", TABLES="t*")
                assert (done.status, done.stderr) == (0, "")
                attempts.append(done.event("run.published")["attempts"])
    assert "error" not in (reports.errors + seen.errors).lower()
    assert attempts[0] > HELD / 2, "it did not give way and try again"
    assert sum(attempts[1:]) > PUBLISHES, "no report was ever in the way"
    print(f"attempts {attempts}; the longest of {len(seen.milliseconds)} reads took {max(seen.milliseconds):.0f} ms")
    assert max(seen.milliseconds) < 1000 * WAIT


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Databases:
    """Two tables with a materialized view on one, copied once; the source has changed since."""
    databases.operational.execute("CREATE TABLE first AS SELECT 1 AS id; CREATE TABLE second AS SELECT 1 AS id")
    assert etl("run", TABLES="first,second").status == 0
    databases.reporting.execute("CREATE MATERIALIZED VIEW filled AS SELECT id FROM second")
    databases.operational.execute("UPDATE first SET id = 2; UPDATE second SET id = 2")
    return databases


@pytest.mark.superuser("ends a superuser's session")
@pytest.mark.parametrize("of", ["second", "filled"])
def test_who_is_in_the_way_is_said_and_ended_where_that_is_wanted(night: Databases, etl: Etl, of: str) -> None:
    """The log names pid, user, application and start; at the deadline its session is ended, and the run publishes."""
    with night.reporting.connect(application_name="long report") as report:
        report.execute("BEGIN")
        report.execute(f"SELECT * FROM {of}".encode())
        done = etl("run", TABLES="first,second", ETL_PUBLISH_DEADLINE="1", ETL_PUBLISH_BLOCKERS="end")
        assert (done.status, done.stderr) == (0, "")
        pid = report.info.backend_pid
        blocked = [event for event in done.events if event["event"] == "publish.blocked"]
        assert blocked
        for event in blocked:
            (who,) = [one for one in event["blockers"] if "long report" in one]
            assert who.startswith(f"pid {pid} (postgres, long report) on public.{of} since 20")
        assert done.event("publish.ended_blocker")["pid"] == pid
        with pytest.raises(psycopg.errors.AdminShutdown):
            report.execute("SELECT 1")
    assert night.reporting.rows("SELECT first.id, filled.id FROM first, filled") == [(2, 2)]


def test_a_deadline_that_passes_publishes_nothing(night: Databases, etl: Etl) -> None:
    """Exit status 1, the error names the blocker, no staging table remains, and the report continues."""
    before = live(night.reporting)
    with night.reporting.connect(application_name="long report") as report, report.transaction():
        report.execute("SELECT * FROM second")
        done = etl("run", TABLES="first,second", ETL_PUBLISH_DEADLINE="1")
        assert done.status == 1
        assert f"held by pid {report.info.backend_pid} (postgres, long report)" in done.stderr
        assert report.execute("SELECT * FROM second").fetchall() == [(1,)]
    assert live(night.reporting) == before
    assert night.staging_tables() == []


def test_a_merge_is_seen_by_no_transaction_that_has_read_a_table_before_it(
    night: Databases, etl: Etl, tmp_path: Path
) -> None:
    """READ COMMITTED, too: a report that has read one table in place goes on to yesterday's other one."""
    (tmp_path / "options.toml").write_text(IN_PLACE)
    before = live(night.reporting)
    run = {"TABLES": "first,second", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    with night.reporting.connect() as report:
        report.execute("BEGIN")
        assert report.execute("SELECT * FROM first").fetchall() == [(1,)]
        with etl.started("run", **run) as process:
            until(lambda: waiting(night.reporting, "LOCK TABLE"), "the publish waits for its locks")
            assert report.execute("SELECT * FROM second").fetchall() == [(1,)]
            report.execute("COMMIT")
            done = ended(process)
        assert (done.status, done.stderr) == (0, "")
        everything = b"SELECT first.id, second.id, filled.id FROM first, second, filled"
        assert report.execute(everything).fetchall() == [(2, 2, 2)]
    assert live(night.reporting) == before


def test_a_merge_that_changes_nothing_waits_for_no_reader(night: Databases, etl: Etl, tmp_path: Path) -> None:
    """A table whose rows are the same as yesterday is not locked against readers."""
    (tmp_path / "options.toml").write_text(IN_PLACE)
    run = {"TABLES": "first,second", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert etl("run", **run).status == 0
    with night.reporting.connect() as report:
        report.execute("BEGIN; SELECT * FROM first, second")
        done = etl("run", **run)
        assert (done.status, done.stderr, done.event("run.published")["attempts"]) == (0, "", 1)


def test_an_old_snapshot_may_see_a_mixture_of_both_ways(night: Databases, etl: Etl, tmp_path: Path) -> None:
    """What is published in place it sees as it was, what is swapped as it is today: no promise holds across them."""
    (tmp_path / "options.toml").write_text('[first]\npublish = "in-place"\n')
    with night.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM pg_class")
        done = etl("run", TABLES="first,second", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
        assert (done.status, done.stderr) == (0, "")
        assert report.execute("SELECT first.id, second.id FROM first, second").fetchall() == [(1, 2)]


def test_in_place_touches_only_the_rows_that_differ(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """By key: a row that is the same to the byte keeps its version (xmin), one that is only equal does not."""
    (tmp_path / "options.toml").write_text(IN_PLACE)
    databases.operational.execute(
        "CREATE TABLE items (a int, b text, n numeric, doc json, PRIMARY KEY (b, a));"
        "INSERT INTO items SELECT i, 'x', 1.0, '{}' FROM generate_series(1, 6) i"
    )
    run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml"), "ETL_VERIFY": "checksum"}
    assert etl("run", **run).stderr == ""
    databases.operational.execute(
        "UPDATE items SET n = 1.00 WHERE a = 1; UPDATE items SET doc = '{ }' WHERE a = 2;"
        "DELETE FROM items WHERE a = 3; UPDATE items SET a = 7 WHERE a = 4; UPDATE items SET n = NULL WHERE a = 5"
    )
    versions = "SELECT a, xmin::text FROM items"
    before = set(databases.reporting.rows(versions))
    assert etl("run", **run).stderr == ""
    assert {a for a, _ in before & set(databases.reporting.rows(versions))} == {6}
    everything = "SELECT * FROM (SELECT a, b, n::text, doc::text FROM items) AS i ORDER BY a"
    assert databases.reporting.rows(everything) == databases.operational.rows(everything)


@pytest.fixture(params=["18", "16", "system"])
def reporting(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A reporting server of each release at hand: what old snapshots see has changed between them."""
    programs = system_bin() if request.param == "system" else wheel_bin(request.param)
    if programs is None:
        pytest.skip("no pg_ctl on PATH; a PostgreSQL server package of the distribution, 13 or later, brings it")
    server = Server.start(programs, FAST)
    yield server
    server.remove()


def test_an_old_snapshot_sees_today_in_tables_that_it_had_not_read(databases: Databases, reporting: Server) -> None:
    """Today's rows, all of them, never none; a table that it had read cannot be replaced before it ends."""
    source, target = databases.operational, Database(reporting, "postgres")
    etl = Etl(Databases(source, target).environment)
    source.execute("CREATE TABLE first AS SELECT 1 AS id; CREATE TABLE second AS SELECT 1 AS id")
    source.execute("CREATE TABLE third AS SELECT 1 AS id")
    assert etl("run", TABLES="first,second,third").status == 0
    target.execute("CREATE MATERIALIZED VIEW filled AS SELECT id FROM second")
    source.execute("UPDATE first SET id = 2; UPDATE second SET id = 2; UPDATE third SET id = 2")
    with target.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert report.execute("SELECT * FROM third").fetchall() == [(1,)]
        done = etl("run", TABLES="first,second")
        assert (done.status, done.stderr) == (0, "")
        # a mixture: yesterday's third, today's first and second; never an empty table
        seen = b"SELECT first.id, second.id, filled.id, third.id FROM first, second, filled, third"
        assert report.execute(seen).fetchall() == [(2, 2, 2, 1)]
        with etl.started("run", TABLES="first,second,third") as process:
            attempts = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'LOCK TABLE'"
            until(lambda: target.value(attempts), "the publish waits for the report")
            assert report.execute(seen).fetchall() == [(2, 2, 2, 1)]
            report.execute("COMMIT")
            assert ended(process).status == 0
        assert report.execute(seen).fetchall() == [(2, 2, 2, 2)]
