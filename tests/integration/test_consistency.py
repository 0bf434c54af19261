"""One snapshot, one publish: what readers of the reporting side see while the source is written to.

The source runs pgbench's TPC-B on a tenth of its accounts. Each transaction adds one delta to an account, a teller and
a branch, and writes it to the history. So at every instant of the source the four sums are the same, and a reader who
sees two instants at once sees them differ.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.harness import Database, Databases, Etl
from tests.situations import ended, locked, until, waiting

HISTORY = "pgbench_history"
TABLES = f"pgbench_accounts,pgbench_tellers,pgbench_branches,{HISTORY}"
RUNS = 5

ACCOUNTS = 10_000
"""Few, so that three readers can read all of them 50 times a second and leave the run its share of two processors."""

TPC_B = f"""
\\set account random(1, {ACCOUNTS})
\\set teller random(1, 10)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :account;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :teller;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO pgbench_history VALUES (:teller, 1, :account, :delta, CURRENT_TIMESTAMP);
END;
"""

SUMS = [
    "SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts",
    "SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers",
    "SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches",
    "SELECT coalesce(sum(delta), 0) FROM pgbench_history",
]
ONE_STATEMENT = [f"SELECT {', '.join(f'({one})' for one in SUMS)}"]

Sums = tuple[int, ...]


@dataclass
class Reader:
    """Reads the four sums 50 times a second, in its own thread, and keeps what it saw.

    With one statement, all four tables are locked before the statement's snapshot is taken. With four, the lock
    that the first takes stays to the end of the transaction, and the publish, which needs them all, waits for it:
    so a transaction sees one publish from the first of its tables on, READ COMMITTED or not.
    """

    database: Database
    statements: list[str]
    isolation: IsolationLevel | None = None
    seen: list[Sums] = field(default_factory=list)
    error: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Reader:
        self.thread = threading.Thread(target=self._read)
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop.set()
        self.thread.join()

    @property
    def mixtures(self) -> list[Sums]:
        """The reads that saw two instants at once."""
        return [sums for sums in self.seen if len(set(sums)) > 1]

    def _read(self) -> None:
        try:
            with self.database.connect() as session:
                session.isolation_level = self.isolation
                due = time.monotonic()
                while not self.stop.wait(max(0.0, due - time.monotonic())):
                    due = max(due + 0.02, time.monotonic() - 0.1)
                    self.seen.append(self._sums(session))
        except Exception as error:
            self.error = error

    def _sums(self, session: psycopg.Connection[tuple[int, ...]]) -> Sums:
        with session.transaction() if len(self.statements) > 1 else nullcontext():
            rows = [session.execute(statement.encode()).fetchone() for statement in self.statements]
        return tuple(int(value) for row in rows for value in row or ())


@contextmanager
def pgbench(database: Database) -> Iterator[None]:
    """Writes TPC-B to a database, 200 transactions a second, for as long as the block lasts."""
    program = database.server.bin / "pgbench"
    process = subprocess.Popen(
        [program, "--no-vacuum", "--client=2", "--rate=200", "--time=600", "--file=-", database.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(TPC_B)
        process.stdin.close()
        until(lambda: database.value("SELECT count(*) FROM pgbench_history"), "pgbench's first transaction")
        yield
        assert process.poll() is None, "pgbench wrote to the end"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bank(databases: Databases) -> Databases:
    """pgbench's tables, filled, in the source."""
    program = databases.operational.server.bin / "pgbench"
    command = [str(program), "--initialize", "--quiet", databases.operational.url]
    subprocess.run(command, check=True, capture_output=True)
    for statement in (f"DELETE FROM pgbench_accounts WHERE aid > {ACCOUNTS}", "VACUUM FULL pgbench_accounts"):
        databases.operational.execute(statement)
    return databases


READERS = {
    "one statement": (ONE_STATEMENT, None),
    "four statements, read committed": (SUMS, IsolationLevel.READ_COMMITTED),
    "four statements, repeatable read": (SUMS, IsolationLevel.REPEATABLE_READ),
}

WAYS = {
    "as decided": {},
    "full": {"ETL_LOAD": "full"},
    "swap": {"ETL_PUBLISH_WAY": "swap"},
    "merge": {"ETL_PUBLISH_WAY": "merge"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", ["", "[defaults]\nsplit = 4"], ids=["one stream", "page ranges"])
def test_readers_see_one_instant_of_the_source_through_every_publish(
    bank: Databases, etl: Etl, split: str, way: str, tmp_path: Path
) -> None:
    """The four sums are always equal, through five publishes, and no reader of any kind gets an error."""
    (tmp_path / "options.toml").write_text(split)
    etl = Etl(etl.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")} | WAYS[way])
    with pgbench(bank.operational), ExitStack() as stack:
        assert etl("run", TABLES=TABLES).status == 0
        readers = {name: stack.enter_context(Reader(bank.reporting, *kind)) for name, kind in READERS.items()}
        for _ in range(RUNS):
            done = etl("run", TABLES=TABLES)
            assert done.status == 0, done.stderr
    for name, reader in readers.items():
        assert (name, reader.error, reader.mixtures) == (name, None, [])
        assert len(set(reader.seen)) >= RUNS, f"the reader with {name} saw the publishes go by"


def test_tables_of_several_runs_are_seen_to_differ(bank: Databases, etl: Etl) -> None:
    """Each run shows its own instant, so the same reader detects a mixture; this proves the test above."""
    with pgbench(bank.operational):
        assert etl("run", TABLES=TABLES).status == 0
        with Reader(bank.reporting, ONE_STATEMENT) as reader:
            assert etl("run", TABLES=f"*,!{HISTORY}").status == 0
            until(lambda: reader.mixtures, "a mixture")
            assert etl("run", TABLES=TABLES).status == 0
            seen = len(reader.seen)
            until(lambda: len(reader.seen) > seen + 1, "another sample")
    assert len(set(reader.seen[-1])) == 1
    assert reader.error is None


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("TRUNCATE orders", 0),
        ("ALTER TABLE orders ADD COLUMN later int DEFAULT 1", 1000),
        ("ALTER TABLE orders ALTER COLUMN id TYPE bigint", 1000),
        ("DELETE FROM orders; VACUUM (TRUNCATE false) orders", 0),
    ],
)
def test_what_happens_to_a_table_after_the_snapshot_is_not_seen(
    databases: Databases, etl: Etl, change: str, rows: int
) -> None:
    """TRUNCATE and table rewrites, which MVCC does not cover, wait for the snapshot's end; the copy is one instant."""
    databases.operational.execute("CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 1000) g")
    databases.reporting.execute("CREATE SCHEMA etl_staging_public; CREATE TABLE etl_staging_public.orders ()")

    def make_change() -> None:
        for statement in change.split("; "):
            databases.operational.execute(statement)

    changing = threading.Thread(target=make_change)
    with etl.started("run", TABLES="orders", ETL_RUN_ID="tonight") as process:
        with locked(databases.reporting, "etl_staging_public.orders"):
            until(lambda: waiting(databases.reporting, "etl_staging_public"), "the load waits with its snapshot")
            changing.start()
            until(
                lambda: waiting(databases.operational, change) or not changing.is_alive(),
                "the change waits, or is done",
            )
        done = ended(process)
    changing.join()
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT count(*), sum(id) FROM orders") == [(1000, 500_500)]
    assert databases.reporting.rows("SELECT * FROM orders WHERE id = 1") == [(1,)]
    assert databases.operational.value("SELECT count(*) FROM orders") == rows, "the change came after the run"


def test_a_table_locked_exclusively_in_the_source_is_waited_for(databases: Databases, etl: Etl) -> None:
    """The run takes its snapshot only when it has every table's lock, so it sees the changes of the lock's holder."""
    databases.operational.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)")
    with databases.operational.connect() as session:
        with session.transaction():
            session.execute("LOCK TABLE orders; INSERT INTO orders VALUES (2)")
            running = etl.started("run", TABLES="orders")
            process = running.__enter__()
            until(lambda: waiting(databases.operational), "the run waits for the table")
        done = ended(process)
        running.__exit__(None, None, None)
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.value("SELECT count(*) FROM orders") == 2
