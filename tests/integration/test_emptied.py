"""A crash of the target empties UNLOGGED tables: what was staged before it is not published."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl

pytestmark = pytest.mark.whole

OPTIONS = """
[defaults]
unlogged = true
[kept]
rows_min = 1000
[merged]
publish = "in-place"
[logged]
unlogged = false
"""

PASS = ("--anyway", "--reason", "it is right")


@pytest.fixture
def crashing(databases: Databases) -> Iterator[Databases]:
    """An operational database, and a reporting one on a server of its own."""
    server = Server.start(settings=FAST | {"fsync": "on"})
    yield Databases(databases.operational, Database(server, "postgres"))
    server.remove()


def test_what_a_crash_has_emptied_is_not_published(crashing: Databases, tmp_path: Path) -> None:
    """However it waited for its publish; tables that hold what the ledger says are published."""
    (tmp_path / "options.toml").write_text(OPTIONS)
    etl = Etl(crashing.environment)
    options = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    for table in ("deferred", "kept", "merged", "logged", "empty"):
        crashing.operational.execute(f"CREATE TABLE {table} AS SELECT g AS id FROM generate_series(1, 300) g")
    tables = "deferred,kept,merged,logged,empty"
    assert etl("run", TABLES=tables).status == 0
    crashing.operational.execute("TRUNCATE empty")
    let_pass = {"empty": PASS, "kept": PASS}
    for table in tables.split(","):
        etl("run", TABLES=table, ETL_RUN_ID=table, ETL_PUBLISH="defer", **options)
        if table in let_pass:
            etl("publish", table, **options)
    crashing.reporting.server.stop(signal.SIGQUIT)
    crashing.reporting.server.restart()
    for table in ("deferred", "kept", "merged"):
        done = etl("publish", table, *let_pass.get(table, ()), **options)
        assert (done.status, done.stderr) == (
            1,
            f"etl: the staging tables of public.{table} are UNLOGGED, and a crash of the target has emptied them; start"
            " a new run\n",
        )
        assert crashing.reporting.value(f"SELECT count(*) FROM {table}") == 300
    for table, rows in (("logged", 300), ("empty", 0)):
        done = etl("publish", table, *let_pass.get(table, ()), **options)
        assert (done.status, done.stderr) == (0, "")
        assert crashing.reporting.value(f"SELECT count(*) FROM {table}") == rows
