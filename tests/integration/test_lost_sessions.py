"""Sessions that are killed and servers that stop, while a COPY stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl
from tests.situations import (
    ended,
    gate_closed,
    kill,
    kill_control,
    kill_holder,
    ledger,
    live,
    make_gated,
    sessions,
    until,
    waiting,
)

pytestmark = pytest.mark.whole

READER, WRITER = 'COPY (/* etl: copy out */ SELECT "id"', 'COPY "etl_staging_public"'
ROWS = 40_000


@pytest.fixture
def gated(databases: Databases, etl: Etl) -> Databases:
    """A relation whose COPY a test can stop, and a table; both were copied yesterday."""
    make_gated(databases.operational, rows=ROWS)
    databases.operational.execute("CREATE TABLE orders AS SELECT 'yesterday' AS day")
    assert etl("run", TABLES="gated,orders").status == 0
    databases.operational.execute("UPDATE orders SET day = 'today'")
    return databases


def stands_still(databases: Databases) -> None:
    """Waits until the COPY stands still, with some rows already in the target."""
    until(lambda: waiting(databases.operational, READER), "the reader waits at the gate")
    until(lambda: sessions(databases.reporting, WRITER), "the writer takes rows")


@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_load_whose_session_is_killed_once_is_tried_again(gated: Databases, etl: Etl, side: str) -> None:
    """The same run succeeds: it logs the retry, which starts with an empty staging table."""
    with etl.started("run", TABLES="gated,orders", ETL_RUN_ID="tonight") as process:
        with gate_closed(gated.operational):
            stands_still(gated)
            kill(getattr(gated, side), READER if side == "operational" else WRITER)
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    retried = done.event("table.retried")
    assert (retried["table"], retried["attempt"]) == ("public.gated", 1)
    assert gated.reporting.rows("SELECT count(*), count(DISTINCT id) FROM gated") == [(ROWS, ROWS)]
    assert gated.reporting.rows("SELECT * FROM orders") == [("today",)]
    assert ledger(gated.reporting) == ("published", None)
    assert gated.staging_tables() == []


def test_a_load_whose_sessions_are_killed_again_and_again_fails(gated: Databases, etl: Etl) -> None:
    """After the fourth attempt the load fails, and no live table is touched."""
    before = live(gated.reporting)
    with etl.started("run", TABLES="gated,orders", ETL_RUN_ID="tonight") as process, gate_closed(gated.operational):
        for _ in range(4):
            stands_still(gated)
            kill(gated.operational, READER)
        done = ended(process)
    assert done.status == 1
    assert [event["attempt"] for event in done.events if event["event"] == "table.retried"] == [1, 2, 3]
    (failed,) = (line for line in done.stderr.splitlines() if line.startswith("etl: table.failed public.gated: "))
    assert failed.endswith("terminating connection due to administrator command")
    assert live(gated.reporting) == before
    assert gated.staging_tables() == []
    assert ledger(gated.reporting)[0] == "failed"
    assert etl("run", TABLES="gated,orders").status == 0


def test_a_run_whose_snapshot_is_lost_takes_another_for_all_its_tables(gated: Databases, etl: Etl) -> None:
    """Tables already read are read again, so that all tables show the new snapshot's instant."""
    gated.operational.execute("CREATE VIEW gated_too AS TABLE gated")
    with etl.started("run", TABLES="orders,gated,gated_too", ETL_RUN_ID="tonight", ETL_JOBS="1") as process:
        with gate_closed(gated.operational):
            stands_still(gated)
            kill_holder(gated.operational)
            gated.operational.execute("UPDATE orders SET day = 'tomorrow'")
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    assert done.event("snapshot.lost")["attempt"] == 1
    assert gated.reporting.rows("SELECT * FROM orders") == [("tomorrow",)]
    assert ledger(gated.reporting) == ("published", None)


def test_a_run_whose_control_session_is_killed_fails_and_clears_up(gated: Databases, etl: Etl) -> None:
    """The locks of the run are lost with the session: the run must not publish, and its error says why."""
    before = live(gated.reporting)
    with etl.started("run", TABLES="gated,orders", ETL_RUN_ID="tonight") as process:
        with gate_closed(gated.operational):
            stands_still(gated)
            kill_control(gated.reporting)
        done = ended(process)
    assert done.status == 1
    assert "terminating connection due to administrator command" in done.stderr
    assert live(gated.reporting) == before
    assert gated.reporting.rows("SELECT * FROM orders") == [("yesterday",)]
    assert gated.staging_tables() == []
    status, error = ledger(gated.reporting)
    assert (status, "terminating connection" in str(error)) == ("failed", True)
    assert etl("run", TABLES="gated,orders").status == 0


def test_a_run_that_lost_its_locks_leaves_alone_what_another_has_staged_since(gated: Databases, etl: Etl) -> None:
    """It drops its own staging tables, but not a table that another run has taken over."""
    with etl.started("run", TABLES="gated,orders", ETL_RUN_ID="tonight") as process:
        with gate_closed(gated.operational):
            stands_still(gated)
            until(lambda: "etl_staging_public.orders" in gated.staging_tables(), "orders is staged")
            kill_control(gated.reporting)
            assert etl("run", TABLES="orders", ETL_RUN_ID="second", ETL_PUBLISH="defer").status == 0
        done = ended(process)
    assert done.status == 1
    assert ledger(gated.reporting)[0] == "failed", done
    assert gated.staging_tables() == ["etl_staging_public.orders"]
    done = etl("publish", "second")
    assert (done.status, done.stderr) == (0, "")
    assert gated.reporting.rows("SELECT * FROM orders") == [("today",)]


@pytest.fixture
def own_servers() -> Iterator[Databases]:
    """Two servers for this module, which tests may stop."""
    servers = [Server.start(settings=FAST | {"shared_buffers": "16MB"}) for _ in range(2)]
    operational, reporting = (Database(server, "postgres") for server in servers)
    yield Databases(operational, reporting)
    for server in servers:
        server.remove()


@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_server_that_stops_fails_the_run_and_the_next_one_succeeds(own_servers: Databases, side: str) -> None:
    """The run ends with one line; live tables stay, and the ledger's status is right afterwards."""
    etl = Etl(own_servers.environment | {"TABLES": "gated"})
    make_gated(own_servers.operational, rows=ROWS)
    assert etl("run").status == 0
    before = live(own_servers.reporting)
    server = getattr(own_servers, side).server
    with etl.started("run", ETL_RUN_ID="tonight") as process:
        with gate_closed(own_servers.operational):
            stands_still(own_servers)
            server.stop()
        done = ended(process)
    server.restart()
    assert done.status == 1
    assert f"{side} database" in done.stderr
    assert "cannot be reached" in done.stderr
    assert "internal error" not in done.stderr
    assert live(own_servers.reporting) == before
    assert etl("run").status == 0
    assert ledger(own_servers.reporting)[0] == ("failed" if side == "operational" else "interrupted")
    assert own_servers.staging_tables() == []
