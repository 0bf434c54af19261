"""Load: hundreds of readers and a writer, ten thousand tables, and five hundred runs of the same table."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from servers.postgres import FAST, Server
from tests.harness import TIMEOUT, Database, Databases, Done, Etl
from tests.integration.test_consistency import ONE_STATEMENT, TABLES, Reader, pgbench
from tests.integration.test_readers import readers
from tests.situations import ended, gate_closed, make_gated, peak_of, until, waiting

READERS = 200
RUNS = 20
MANY = int(os.environ.get("ETL_LOAD_TABLES", "10000"))
RIVALS = int(os.environ.get("ETL_LOAD_RIVALS", "500"))

WAYS = {
    "swap": "",
    "in place": '[defaults]\npublish = "in-place"\n',
    "mixture": '[pgbench_accounts]\npublish = "in-place"\n[pgbench_branches]\npublish = "in-place"\n',
}
"""The ways of publishing pgbench's tables, as options."""

ROWS = int(os.environ.get("ETL_LOAD_ROWS", "2000000"))

A_MERGE = 150_000_000
"""The maximum bytes of a run that merges 2,000,000 rows, and of the memory that the server's session has for itself."""

SETTINGS = FAST | {"max_connections": "1200", "max_locks_per_transaction": "256"}

MEMORY = 250_000_000
"""The maximum bytes of a run of 10,000 tables, which keeps each table's columns and indexes in memory."""

A_RUN = 60_000_000
"""The bytes that a run uses when it requests its table's lock."""


@pytest.fixture
def large() -> Iterator[Databases]:
    """Two servers with room for many connections and locks."""
    with ExitStack() as stack:
        both = []
        for _ in range(2):
            server = Server.start(settings=SETTINGS)
            stack.callback(server.remove)
            both.append(Database(server, "postgres"))
        yield Databases(*both)


@pytest.fixture
def etl(large: Databases) -> Etl:
    """``etl``, with the URLs of these two servers in its environment."""
    return Etl(large.environment, fresh=True)


@pytest.mark.parametrize("way", ["swap", "in place", "mixture"])
def test_200_readers_and_a_writer_go_on_through_20_runs(large: Databases, etl: Etl, tmp_path: Path, way: str) -> None:
    """No reader gets an error, none sees two instants at once, and every run succeeds."""
    (tmp_path / "options.toml").write_text(WAYS[way])
    etl.environment["ETL_OPTIONS_FILE"] = str(tmp_path / "options.toml")
    program = large.operational.server.bin / "pgbench"
    subprocess.run([program, "--initialize", "--quiet", large.operational.url], check=True, capture_output=True)
    with pgbench(large.operational):
        assert etl("run", TABLES=TABLES).status == 0
        crowd = "\\set t random(1, 10)\nSELECT tbalance FROM pgbench_tellers WHERE tid = :t;\n"
        with (
            readers(large.reporting, crowd, clients=READERS, rate=400) as seen,
            Reader(large.reporting, ONE_STATEMENT) as sums,
        ):
            for _ in range(RUNS):
                done = etl("run", TABLES=TABLES)
                assert (done.status, done.stderr) == (0, "")
    assert "error" not in seen.errors.lower()
    assert (sums.error, sums.mixtures) == (None, [])
    assert len(set(sums.seen)) >= RUNS, "the reader saw the publishes go by"
    print(f"\n{way}: {READERS} readers, {len(seen.milliseconds)} reads, the longest {max(seen.milliseconds):.0f} ms")
    assert large.staging_tables() == []


def test_ten_thousand_tables_come_twice(large: Databases, etl: Etl) -> None:
    """Onto an empty target, and over the live tables; readers see all at once, and memory is bounded."""
    with large.operational.connect() as session:
        for first in range(0, MANY, 500):  # a transaction has locks for so many
            session.execute(
                f"DO $$ BEGIN FOR i IN {first + 1}..{min(first + 500, MANY)} LOOP EXECUTE format("
                "'CREATE TABLE t%s (id int PRIMARY KEY, note text); INSERT INTO t%1$s VALUES (1, ''one'')', i);"
                " END LOOP; END $$".encode()
            )
    for night in (1, 2):
        began = time.monotonic()
        # its output is more than a pipe holds
        with etl.started("run", TABLES="t*", ETL_RUN_ID=f"night-{night}") as process, ThreadPoolExecutor(1) as beside:
            output = beside.submit(process.communicate)
            peak = peak_of(process)
            done = Done(process.returncode, *output.result())
        assert (done.status, done.stderr) == (0, "")
        print(f"\nnight {night}: {MANY} tables in {time.monotonic() - began:.0f} s, peak {peak / 1e6:.0f} MB")
        assert peak < MEMORY
    assert large.reporting.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == MANY
    assert large.reporting.rows("SELECT status, count(*) FROM etl.loads GROUP BY 1") == [("published", 2 * MANY)]
    assert large.staging_tables() == []


@dataclass(slots=True)
class Peaks:
    """The most bytes that the run's process, one session of the target, and the temporary files have had at once."""

    process: int = 0
    session: int = 0
    temporary: int = 0

    def look(self, process: subprocess.Popen[str], server: Server) -> None:
        """Looks once."""
        assert server.process is not None
        sessions = psutil.Process(server.process.pid).children()
        self.process = max(self.process, _own_bytes(process.pid))
        self.session = max(self.session, *(_own_bytes(one.pid) for one in sessions))
        base = server.data / "base"
        files = (file for pattern in ("pgsql_tmp/**/*", "*/t[0-9]*_*") for file in base.glob(pattern))
        self.temporary = max(self.temporary, sum(map(_size, files)))


def _own_bytes(pid: int) -> int:
    """The memory of a process that it does not share."""
    with suppress(FileNotFoundError, ProcessLookupError):
        found = re.search(r"^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def test_a_merge_of_which_every_row_differs_needs_bounded_memory(large: Databases, etl: Etl, tmp_path: Path) -> None:
    """Neither the process nor the server's session holds the rows; the difference is in a temporary table."""
    large.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, night int, note text);"
        f"INSERT INTO orders SELECT i, 1, repeat('x', 90) FROM generate_series(1, {ROWS}) AS i"
    )
    (tmp_path / "options.toml").write_text(WAYS["in place"])
    run = {"TABLES": "orders", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert etl("run", **run).status == 0
    large.operational.execute("UPDATE orders SET night = 2")
    peaks = Peaks()
    with etl.started("run", **run) as process:
        while process.poll() is None:
            peaks.look(process, large.reporting.server)
            time.sleep(0.05)
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    seconds = done.event("run.published")["seconds"]
    print(f"\n{ROWS} rows merged in {seconds:.0f} s; peaks: {peaks}")
    assert large.reporting.rows("SELECT night, count(*) FROM orders GROUP BY 1") == [(2, ROWS)]
    assert peaks.process < A_MERGE
    assert peaks.session < A_MERGE
    assert peaks.temporary < 300 * ROWS


def test_of_500_runs_of_one_table_one_wins(large: Databases, etl: Etl) -> None:
    """The others name the run that holds it, and leave nothing behind; the first run copies."""
    make_gated(large.operational, "orders", rows=40_000)
    with etl.started("run", TABLES="orders", ETL_RUN_ID="winner") as winner:
        with gate_closed(large.operational):
            until(lambda: waiting(large.operational, "COPY"), "one copies the table", TIMEOUT)
            losers = list(_rivals(etl))
        done = ended(winner)
    assert (done.status, done.stderr) == (0, "")
    assert Counter(one.status for one in losers) == {1: RIVALS - 1}
    told = "public.orders is being loaded by run winner"
    assert [one.stderr for one in losers if told not in one.stderr] == []
    assert large.reporting.value("SELECT count(*) FROM orders") == 40_000
    assert large.staging_tables() == []
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nightly-etl%'"
    until(lambda: [one.value(left) for one in (large.operational, large.reporting)] == [0, 0], "no session is left")


def _rivals(etl: Etl) -> Iterator[Done]:
    """Starts as many processes at once as memory allows, then waits for them."""
    at_once = max(1, min(RIVALS, psutil.virtual_memory().available // A_RUN))
    print(f"\n{RIVALS} runs, {at_once} at once", flush=True)
    for crowd in batched(range(1, RIVALS), at_once):
        with ExitStack() as stack:
            started = [
                stack.enter_context(etl.started("run", TABLES="orders", ETL_RUN_ID=f"rival-{number}"))
                for number in crowd
            ]
            yield from [ended(process, seconds=600) for process in started]


def batched(numbers: range, size: int) -> Iterator[range]:
    """Splits a range into ranges; ``itertools.batched`` exists only since Python 3.12."""
    yield from (numbers[first : first + size] for first in range(0, len(numbers), size))
