"""A pooler between the run and a database: session mode works; transaction mode is refused with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.port import free_port
from tests.faults.night import WAYS
from tests.harness import Database, Databases, Etl
from tests.situations import until

PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no pgbouncer on PATH: install the distribution's package, or set PGBOUNCER to the program"
)

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = {mode}
server_reset_query =
logfile = {folder}/log
pidfile = {folder}/pid
unix_socket_dir =
"""


@contextmanager
def pooler(database: Database, mode: str) -> Iterator[str]:
    """Runs pgbouncer before a database; gives the URL that leads through it."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o777)
        file = folder / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(server=database.server.port, port=port, mode=mode, folder=folder))
        user = ["--user", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([PROGRAM, "-q", *user, file], stderr=subprocess.DEVNULL)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/{database.name}"
            ready: list[str | Path] = [database.server.bin / "pg_isready", "-q", "-d", url]
            until(lambda: subprocess.run(ready, check=False).returncode == 0, "pgbouncer takes connections")
            yield url
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def shop(databases: Databases) -> Databases:
    """Two tables."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 2 AS id")
    return databases


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_pooler_in_session_mode_works(shop: Databases, tmp_path: Path, side: str, way: str) -> None:
    """The pooler passes on whole sessions, including one that an earlier run has used."""
    (tmp_path / "options.toml").write_text(WAYS[way])
    run = {"TABLES": "orders,items", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    with pooler(getattr(shop, side), "session") as url:
        for _ in range(2):
            shop.operational.execute("UPDATE items SET id = id + 1; UPDATE orders SET id = id + 1")
            done = Etl(shop.environment | {f"ETL_{side.upper()}_URL": url})("run", **run)
            assert (done.status, done.stderr) == (0, "")
    assert shop.reporting.rows("TABLE orders UNION ALL TABLE items") == [(3,), (4,)]


@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_pooler_in_transaction_mode_is_refused(shop: Databases, side: str) -> None:
    """Locks, settings and the snapshot belong to a session, which such a pooler shares among clients."""
    with pooler(getattr(shop, side), "transaction") as url:
        done = Etl(shop.environment | {f"ETL_{side.upper()}_URL": url})("run", TABLES="orders,items")
    assert done.status == 2
    assert done.stderr.startswith(f"etl: {side} database ")
    assert "a pooler in transaction mode" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shop.reporting.rows("SELECT relname FROM pg_class WHERE relname IN ('orders', 'items')") == []
