"""A hot standby as the source: recovery conflicts, promotion, and a night without either."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl

PATIENCE = 30

READING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%slow%'"


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    """A server that a standby follows."""
    server = Server.start(settings=FAST | {"wal_level": "replica", "autovacuum": "off"})
    server.psql(
        "CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 5000) AS i;"
        "ALTER TABLE orders ADD PRIMARY KEY (id)"
    )
    # A view that takes its time, so that a conflict can come while it is read.
    server.psql("CREATE VIEW slow AS SELECT id, pg_sleep(0.002)::text AS pause FROM orders WHERE id <= 1000")
    server.psql(
        "CREATE UNLOGGED TABLE cache (id int); CREATE VIEW cached AS SELECT * FROM cache; CREATE VIEW twice AS SELECT *"
        " FROM cached; CREATE TABLE parts (id int) PARTITION BY LIST (id);"
        "CREATE UNLOGGED TABLE part PARTITION OF parts DEFAULT"
    )
    server.psql("CREATE TABLE busy AS SELECT i AS id FROM generate_series(1, 5000) AS i")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def standby(primary: Server) -> Iterator[Server]:
    """A hot standby that sends no feedback and waits for no reader."""
    server = primary.replica(FAST | {"hot_standby_feedback": "off", "max_standby_streaming_delay": "0"})
    yield server
    server.remove()


@pytest.fixture
def followed(standby: Server, databases: Databases) -> Databases:
    """The standby as the operational side."""
    return Databases(Database(standby, "postgres"), databases.reporting)


def _eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE} s"


def test_a_standby_can_be_the_source(followed: Databases) -> None:
    """Snapshots are exported and joined, and tables locked, on a server in recovery."""
    _eventually(lambda: followed.operational.value("SELECT to_regclass('busy') IS NOT NULL"), "the standby's copy")
    done = Etl(followed.environment)("run", TABLES="orders,busy", ETL_VERIFY="checksum")
    assert (done.status, done.stderr) == (0, "")
    assert followed.reporting.value("SELECT count(*) FROM orders") == 5000


def test_what_a_standby_has_no_rows_of_is_told(followed: Databases, primary: Server) -> None:
    """Unlogged tables, and partitioned tables and views over one; the primary has the rows."""
    _eventually(lambda: followed.operational.value("SELECT to_regclass('busy') IS NOT NULL"), "the standby's copy")
    etl, names = Etl(followed.environment), ["cache", "cached", "twice", "parts"]
    checked, done = etl("check", "--json", TABLES=",".join(["orders", *names])), etl("run", TABLES=",".join(names))
    found = {one["subject"]: one["text"] for one in json.loads(checked.stdout) if one["obstacle"]}
    assert found.keys() == {f"public.{name}" for name in names}
    assert "and public.part is unlogged, so its rows are on the primary only" in found["public.parts"]
    assert [text for text in found.values() if text not in done.stderr] == []
    of_primary = Etl(Databases(Database(primary, "postgres"), followed.reporting).environment)
    assert of_primary("check", TABLES=",".join(names)).status == 0


def test_a_recovery_conflict_does_not_fail_the_night(primary: Server, followed: Databases) -> None:
    """A vacuum on the primary ends the standby's snapshot; the run takes another, and publishes that one whole."""
    etl = Etl(followed.environment)
    with etl.started("run", TABLES="slow,busy", ETL_JOBS="1") as process:
        _eventually(lambda: followed.operational.value(READING), "the read of the slow view")
        primary.psql("DELETE FROM busy WHERE id % 2 = 0; VACUUM busy")
        stdout, stderr = process.communicate(timeout=PATIENCE * 2)
    assert process.returncode == 0, stderr
    assert "snapshot.lost" in stdout
    assert followed.reporting.value("SELECT count(*) FROM slow") == 1000
    assert followed.reporting.value("SELECT count(*) FROM busy") == 2500
    assert followed.staging_tables() == []


def test_a_standby_that_is_promoted_in_the_middle_is_read_on(primary: Server, databases: Databases) -> None:
    """The sessions outlive the promotion; the night is one snapshot's, and the next run reads the new primary."""
    standby = primary.replica(FAST)
    try:
        followed = Databases(Database(standby, "postgres"), databases.reporting)
        etl = Etl(followed.environment | {"TABLES": "slow,orders", "ETL_JOBS": "1"})
        with etl.started("run") as process:
            _eventually(lambda: followed.operational.value(READING), "the read of the slow view")
            assert followed.operational.value("SELECT pg_promote()")
            followed.operational.execute("DELETE FROM orders WHERE id > 4000")
            _, stderr = process.communicate(timeout=PATIENCE * 2)
        assert (process.returncode, stderr) == (0, "")
        assert followed.reporting.value("SELECT count(*) FROM slow") == 1000
        assert followed.reporting.value("SELECT count(*) FROM orders") == 5000
        again = etl("run")
        assert (again.status, again.stderr) == (0, "")
        assert followed.reporting.value("SELECT count(*) FROM orders") == 4000
        assert followed.staging_tables() == []
    finally:
        standby.remove()
