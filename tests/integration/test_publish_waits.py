"""A publish and readers: it gives way, blocks other readers only briefly, and names the sessions that block it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from etl.model.errors import PublishBlocked
from etl.model.name import TargetName
from etl.publish import publish as publishing
from etl.publish.policy import Policy
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import guard
from tests.harness import Database, Databases, Done, Etl
from tests.situations import ended, ledger, live, reading, until, waiting

pytestmark = pytest.mark.whole

LONGEST_WAIT = 0.5
"""Seconds that a reader may have to queue behind a publish that is itself blocked: its lock timeouts, and change."""


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Databases:
    """Two tables, copied once."""
    databases.operational.execute("CREATE TABLE customers AS SELECT 1 AS id; CREATE TABLE orders AS SELECT 1 AS id")
    assert etl("run", TABLES="orders,customers").status == 0
    return databases


def longest_read(database: Database, reads: int) -> float:
    """Reads both tables again and again; returns the seconds of the slowest read."""
    slowest = 0.0
    with database.connect() as session:
        for _ in range(reads):
            began = time.monotonic()
            session.execute("SELECT count(*) FROM customers, orders")
            slowest = max(slowest, time.monotonic() - began)
    return slowest


@pytest.mark.parametrize("view", [False, True])
def test_a_blocked_publish_gives_way_and_succeeds_when_the_report_ends(night: Databases, etl: Etl, view: bool) -> None:
    """Other readers of the table or view continue meanwhile; the run publishes when the long report has ended."""
    if view:
        night.reporting.execute("CREATE VIEW seen AS SELECT id FROM orders")
    before = live(night.reporting)
    with etl.started("run", TABLES="orders,customers", ETL_RUN_ID="tonight") as process:
        with reading(night.reporting, "seen" if view else "orders"):
            for _ in range(3):
                until(lambda: waiting(night.reporting, "LOCK TABLE"), "the publish waits for its locks")
                assert longest_read(night.reporting, reads=20) < LONGEST_WAIT
                until(lambda: not waiting(night.reporting, "LOCK TABLE"), "the publish gives way")
            assert live(night.reporting) == before
            assert ledger(night.reporting)[0] == "running"
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    published = done.event("run.published")
    blocked = [event for event in done.events if event["event"] == "publish.blocked"]
    assert published["attempts"] == len(blocked) + 1 > 3
    assert night.staging_tables() == []


async def test_a_publish_that_is_blocked_past_its_deadline_names_who_blocks_it(night: Databases, etl: Etl) -> None:
    """The error has pid, user, application and table; live and staging tables stay, for a later publish."""
    assert etl("run", TABLES="orders,customers", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    before, staged = live(night.reporting), night.staging_tables()
    connect = partial(connect_target, DatabaseUrl.parse(night.reporting.etl_url), guard.application("tonight"))
    target = await connect()
    tables = [TargetName("public", "orders"), TargetName("public", "customers")]
    try:
        with reading(night.reporting, "orders"):
            began = time.monotonic()
            with pytest.raises(PublishBlocked) as raised:
                await publishing.publish(target, "tonight", tables, Policy(deadline=1), connect)
            assert time.monotonic() - began < 5
            assert live(night.reporting) == before
            (reader,) = night.reporting.rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'long report'")
        said = str(raised.value)
        assert said.startswith("the live tables were in use for 1 s, so nothing was published; held by ")
        assert f"pid {reader[0]} (postgres, long report) on public.orders since " in said
        assert night.staging_tables() == staged
        assert (await publishing.publish(target, "tonight", tables, Policy(), connect)).tables == 2
    finally:
        await target.close()
    assert live(night.reporting) != before


async def test_two_publishes_at_once_both_succeed(databases: Databases, etl: Etl) -> None:
    """Runs of different tables that one view reads meet in the publish; neither fails, and the view is still there."""
    databases.operational.execute("CREATE TABLE customers AS SELECT 1 AS id; CREATE TABLE orders AS SELECT 1 AS id")
    for run_id, table in (("one", "orders"), ("two", "customers")):
        assert etl("run", TABLES=table, ETL_RUN_ID=run_id).status == 0
    databases.reporting.execute("CREATE VIEW joined AS SELECT o.id FROM orders o JOIN customers c USING (id)")
    for run_id, table in (("three", "orders"), ("four", "customers")):
        assert etl("run", TABLES=table, ETL_RUN_ID=run_id, ETL_PUBLISH="defer").status == 0
    done = await asyncio.gather(*(asyncio.to_thread(etl, "publish", run_id) for run_id in ("three", "four")))
    assert [(one.status, one.stderr) for one in done] == [(0, ""), (0, "")]
    assert databases.reporting.rows("SELECT * FROM joined") == [(1,)]


def test_a_view_that_another_publish_has_in_staging_is_waited_for(night: Databases, etl: Etl) -> None:
    """Two publishes never stage one view at once: the second waits for the first one's lock of the view's place."""
    night.reporting.execute("CREATE VIEW joined AS SELECT o.id FROM orders o JOIN customers c USING (id)")
    assert etl("run", TABLES="orders", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    key = "hashtextextended('nightly-etl table etl_staging_public.joined', 0)"
    with night.reporting.connect() as other:
        other.execute(f"SELECT pg_advisory_lock({key})")
        waits = etl("publish", "tonight", ETL_PUBLISH_DEADLINE="1")
        assert (waits.status, "another publish changes the views" in waits.stderr) == (1, True)
        other.execute(f"SELECT pg_advisory_unlock({key})")
    assert etl("publish", "tonight").status == 0
    assert night.reporting.rows("SELECT * FROM joined") == [(1,)]


def raced(night: Databases, etl: Etl, statement: str) -> Done:
    """Publishes while a session makes an object on a live table and commits once the publish waits for its lock."""
    with night.reporting.connect() as session:
        session.execute(f"BEGIN; {statement}".encode())
        with etl.started("run", TABLES="orders,customers") as process:
            until(lambda: waiting(night.reporting, "LOCK TABLE"), "the publish waits for its locks")
            session.execute("COMMIT")
            return ended(process)


def test_a_view_that_is_committed_while_the_publish_waits_is_carried(night: Databases, etl: Etl) -> None:
    """The publish did not see it at first; afterwards it exists and shows the new rows."""
    night.operational.execute("INSERT INTO orders VALUES (2)")
    done = raced(night, etl, "CREATE VIEW seen AS SELECT count(*)::int FROM orders")
    assert (done.status, done.stderr) == (0, "")
    assert night.reporting.rows("SELECT * FROM seen") == [(2,)]


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_the_publish_looks_again_whatever_isolation_is_the_default(night: Databases, etl: Etl, isolation: str) -> None:
    """A snapshot from before the wait would not show objects that were committed meanwhile."""
    night.reporting.execute(f"ALTER DATABASE {night.reporting.name} SET default_transaction_isolation = '{isolation}'")
    night.operational.execute("INSERT INTO orders VALUES (2)")
    begin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
    done = raced(night, etl, f"{begin}CREATE VIEW seen AS SELECT count(*)::int FROM orders")
    assert (done.status, done.stderr) == (0, "")
    assert night.reporting.rows("SELECT * FROM seen") == [(2,)]


def test_a_function_that_is_committed_while_the_publish_waits_stops_it(night: Databases, etl: Etl) -> None:
    """It could not be reattached, like a function that had been there before."""
    body = "LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM orders; END"
    done = raced(night, etl, f"CREATE FUNCTION counted() RETURNS bigint {body}")
    assert done.status == 1
    assert "cannot be replaced while this depends on it: function public.counted()" in done.stderr
    assert night.reporting.rows("SELECT public.counted()") == [(1,)]


@contextmanager
def vacuuming(database: Database, table: str) -> Iterator[None]:
    """Has an autovacuum of the table under way, so slow that it would not end within the test."""
    try:
        database.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        database.execute("SELECT pg_reload_conf()")
        database.execute(
            f"ALTER TABLE {table} SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,"
            f" autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100); DELETE FROM {table}"
        )
        until(lambda: _vacuums(database, table), f"an autovacuum of {table}", seconds=60)
        yield
    finally:
        database.execute("ALTER SYSTEM RESET autovacuum_naptime")
        database.execute("SELECT pg_reload_conf()")


def _vacuums(database: Database, table: str) -> bool:
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        f" WHERE backend_type = 'autovacuum worker' AND relation = '{table}'::regclass"
    )
    return bool(database.value(query))


def test_an_autovacuum_of_a_live_table_does_not_stop_the_publish(databases: Databases, etl: Etl) -> None:
    """The server ends it, as it does for everyone who waits for it; readers do not wait meanwhile."""
    databases.operational.execute(
        "CREATE TABLE big AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 8000) n"
    )
    assert etl("run", TABLES="big").status == 0
    with vacuuming(databases.reporting, "big"):
        done = etl("run", TABLES="big")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.published")["attempts"] == 1
    assert done.event("run.published")["blocked_ms"] < 1000 * LONGEST_WAIT
    assert databases.reporting.value("SELECT count(*) FROM big") == 8000


def test_a_prepared_transaction_that_is_in_the_way_is_named(night: Databases, etl: Etl) -> None:
    """It has no session that could be ended; the error has its name, owner and remedy."""
    with night.reporting.connect() as session:
        session.execute("BEGIN; SELECT count(*) FROM orders; PREPARE TRANSACTION 'forgotten'")
        try:
            done = etl("run", TABLES="orders", ETL_PUBLISH_DEADLINE="1")
        finally:
            session.execute("ROLLBACK PREPARED 'forgotten'")
    assert done.status == 1
    assert "held by prepared transaction forgotten (postgres; COMMIT or ROLLBACK PREPARED ends it) on" in done.stderr


@pytest.mark.superuser("ends a superuser's session")
def test_a_reader_that_connects_while_the_publish_waits_is_ended_too(
    night: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Also in a run that has replaced another table's rows in place, in a transaction that is still open.

    Within one transaction pg_stat_activity stays as it was first read, without sessions that have connected since.
    """
    options = tmp_path / "options.toml"
    options.write_text('["customers"]\npublish = "in-place"\n')
    variables = {"TABLES": "orders,customers", "ETL_OPTIONS_FILE": str(options), "ETL_PUBLISH_BLOCKERS": "end"}
    with night.reporting.connect() as first:
        first.execute("BEGIN; SELECT count(*) FROM orders")
        with etl.started("run", **variables, ETL_PUBLISH_DEADLINE="4") as process:
            until(lambda: waiting(night.reporting, "LOCK TABLE"), "the publish waits for its locks")
            until(lambda: not waiting(night.reporting, "LOCK TABLE"), "the publish gives way")
            with night.reporting.connect(application_name="second") as late:
                late.execute("BEGIN; SELECT count(*) FROM orders")
                first.execute("COMMIT")
                done = ended(process)
                with pytest.raises(psycopg.OperationalError):
                    late.execute("SELECT 1")
    assert (done.status, done.event("publish.ended_blocker")["application"]) == (0, "second")
