"""Relations that the options' SQL reads keep the snapshot's contents, like the tables of the run.

TRUNCATE, DROP and statements that rewrite a table are not MVCC-safe: older snapshots see the table empty. So the tests
try each of them between the snapshot and the load, on each kind of relation that an option's SQL can read.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from etl.model import limits
from etl.model.errors import EXPECTED, LoadFailed
from etl.model.name import Relation
from etl.model.table import Table
from etl.sessions.url import DatabaseUrl
from etl.settings.options import Options
from etl.source import locks, snapshot
from servers.postgres import Server
from tests.harness import Database, Databases, Done, Etl
from tests.lambda_runtime import function
from tests.releases import cuts_tables
from tests.situations import ended, kill_holder, locked, terminate, until, waiting

CLERK = "clerk"
"""The source's role: it may read the relations that the options name, but not the tables below views."""

SHARD = {"ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}

CHANGES = {
    "truncated": "TRUNCATE {}",
    "rewritten": "ALTER TABLE {} ALTER COLUMN spare TYPE bigint",
    "dropped": "DROP TABLE {} CASCADE",
}

PLAIN = "CREATE TABLE {0} AS SELECT g AS id, -g AS rank, 0 AS spare FROM generate_series(1, 3) g"
PARTITIONED = (
    "CREATE TABLE {0} (id int, rank int, spare int) PARTITION BY LIST (id);"
    "CREATE TABLE {0}_part PARTITION OF {0} FOR VALUES IN (1, 2, 3);"
    "INSERT INTO {0} SELECT g, -g, 0 FROM generate_series(1, 3) g"
)
INHERITED = (
    "CREATE TABLE {0} (id int, rank int, spare int); CREATE TABLE {0}_part () INHERITS ({0});"
    "INSERT INTO {0}_part SELECT g, -g, 0 FROM generate_series(1, 3) g"
)
VIEW = "CREATE VIEW {0} AS SELECT id, rank FROM private.{0}"
WHERE = "id IN (SELECT f.id FROM public.{} AS f)"
RANK = "(SELECT f.rank FROM public.{} AS f WHERE f.id = orders.id)"


@dataclass(frozen=True)
class Reading:
    """A way in which an option's SQL reads a relation: its statements, the table that is changed, and the SQL."""

    make: str
    changed: str
    sql: str

    def option(self) -> str:
        """The option. Each change has a relation of its own."""
        each = [self.sql.format(name) for name in CHANGES]
        if self.sql == WHERE:
            return f'where = "{" AND ".join(each)}"'
        total = " + ".join(each)
        return f'mask = {{ rank = "sql:{total}" }}' if self.changed == "private.{}" else f'order_by = ["{total}", "id"]'


READINGS = {
    "where a table": Reading(PLAIN, "{}", WHERE),
    "where a view over a table that the role may not read": Reading(
        PLAIN.replace("{0}", "private.{0}") + "; " + VIEW, "private.{}", WHERE
    ),
    "where a partitioned table": Reading(PARTITIONED, "{}", WHERE),
    "where a table with children": Reading(INHERITED, "{}", WHERE),
    "a mask, by a view": Reading(PLAIN.replace("{0}", "private.{0}") + "; " + VIEW, "private.{}", RANK),
    "order_by": Reading(PLAIN, "{}", RANK),
}


@pytest.fixture
def source(databases: Databases) -> Iterator[Database]:
    """A source with a table of three orders, and a role that may read what is in public."""
    yield from shop(databases.operational)


def shop(database: Database) -> Iterator[Database]:
    """Creates the source; at the block's end drops the role with its privileges."""
    database.execute(
        f"CREATE ROLE {CLERK} LOGIN; CREATE SCHEMA private; GRANT USAGE ON SCHEMA public TO {CLERK};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {CLERK};"
        "CREATE TABLE orders AS SELECT g AS id, 0 AS rank FROM generate_series(1, 3) g"
    )
    try:
        yield replace(database, role=CLERK)
    finally:
        database.execute(f"DROP OWNED BY {CLERK} CASCADE; DROP ROLE {CLERK}")


def of(databases: Databases, folder: Path, options: str, **variables: str) -> Etl:
    """``etl`` with the settings of tonight's run of public.orders."""
    (folder / "options.toml").write_text(f"[orders]\n{options}\n")
    tonight = {"TABLES": "orders", "ETL_RUN_ID": "tonight", "ETL_OPTIONS_FILE": str(folder / "options.toml")}
    return Etl(databases.environment | tonight | variables)


def has_snapshot(target: Database) -> bool:
    """Tells whether tonight's snapshot is in the ledger."""
    return bool(
        target.value("SELECT to_regclass('etl.runs') IS NOT NULL")
        and target.rows("SELECT FROM etl.runs WHERE run_id = 'tonight' AND snapshot_id IS NOT NULL")
    )


@contextmanager
def changing(database: Database, statements: list[str]) -> Iterator[None]:
    """Executes each statement in its own session; they all wait for locks, and have ended after the block."""
    threads = {one: threading.Thread(target=execute, args=(database, one)) for one in statements}
    for statement, thread in threads.items():
        thread.start()
        until(lambda: waiting(database, statement) or not thread.is_alive(), f"{statement} waits, or is done")  # noqa: B023
    at_once = [statement for statement, thread in threads.items() if not thread.is_alive()]
    yield
    for thread in threads.values():
        thread.join(60)
        assert not thread.is_alive(), "the changes came to their end"
    assert at_once == []


def execute(database: Database, statement: str) -> None:
    """Executes a statement, until somebody cancels it."""
    with suppress(psycopg.errors.QueryCanceled):
        database.execute(statement)


def give_way(database: Database, statement: str) -> None:
    """Cancels a statement that waits for a lock."""
    (pid,) = waiting(database, statement)
    database.execute(f"SELECT pg_cancel_backend({pid})")
    until(lambda: not waiting(database, statement), f"{statement} gave way")


def succeeded(done: Done) -> Done:
    """Asserts that a process succeeded and printed nothing on standard error."""
    assert (done.status, done.stderr) == (0, "")
    return done


def left_open(source: Database) -> list[str]:
    """The sessions of this tool that remain after those that are ending have ended."""
    query = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'nightly%'"
    with suppress(AssertionError):
        until(lambda: not source.rows(query), "no session", 5)
    return [text for (text,) in source.rows(query)]


def as_one_process(etl: Etl, source: Database, target: Database, changes: list[str]) -> None:
    """Does the run in one process; its load waits with its snapshot while the changes are tried."""
    with loading(etl, target) as process, ExitStack() as stack:
        with staging_locked(target):
            until(lambda: waiting(target, "etl_staging_public"), "the load waits with its snapshot")
            stack.enter_context(changing(source, changes))
        succeeded(ended(process))


def as_fan_out(etl: Etl, source: Database, target: Database, changes: list[str]) -> None:
    """Does the run by a holder and a shard; the changes are tried when the holder has its snapshot, and give way."""
    with holding(etl, target) as holder:
        with changing(source, changes):
            for change in changes:
                give_way(source, change)
        succeeded(etl("run", **SHARD))
        succeeded(ended(holder))
    succeeded(etl("publish"))
    for change in changes:
        source.execute(change)


RUNS = {"run": as_one_process, "fan-out": as_fan_out}


@contextmanager
def loading(etl: Etl, target: Database, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Starts the run with a staging table left behind, by which its load can be made to wait."""
    target.execute("CREATE SCHEMA IF NOT EXISTS etl_staging_public; CREATE TABLE etl_staging_public.orders ()")
    with etl.started("run", **variables) as process:
        yield process


def staging_locked(target: Database) -> AbstractContextManager[None]:
    """Makes the load wait before it reads a row."""
    return locked(target, "etl_staging_public.orders")


@contextmanager
def holding(etl: Etl, target: Database, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Runs ``etl snapshot`` for tonight; yields the process as soon as its snapshot is in the ledger."""
    with etl.started("snapshot", **variables) as holder:
        until(lambda: has_snapshot(target) or holder.poll() is not None, "the snapshot in the ledger")
        yield holder


def assert_kept(reading: Reading, way: str, databases: Databases, folder: Path) -> None:
    """Tries the changes between snapshot and load: the rows are those of the snapshot, and the changes came later."""
    source, target = databases.operational, databases.reporting
    for name in CHANGES:
        source.execute(reading.make.format(name))
    before = sorted(source.rows("SELECT id FROM orders"))
    changes = [change.format(reading.changed.format(name)) for name, change in CHANGES.items()]
    RUNS[way](of(databases, folder, reading.option()), source, target, changes)
    rows = target.rows("SELECT id, rank FROM orders ORDER BY ctid")
    assert sorted((order,) for order, _ in rows) == before
    if reading.sql == RANK and "mask" in reading.option():
        assert {rank for _, rank in rows} == {-3, -6, -9}
    if "order_by" in reading.option():
        assert [order for order, _ in rows] == [3, 2, 1]
    assert source.value(f"SELECT count(*) FROM {reading.changed.format('truncated')}") == 0, "the change came after"
    assert left_open(source) == []


CASES = [(kind, "run") for kind in READINGS] + [(kind, "fan-out") for kind in ("where a table", "a mask, by a view")]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_what_an_options_sql_reads_is_not_changed_between_snapshot_and_load(
    source: Database, databases: Databases, tmp_path: Path, kind: str, way: str
) -> None:
    """TRUNCATE, a rewrite and DROP wait for the snapshot's end; nothing is left open."""
    assert_kept(READINGS[kind], way, Databases(source, databases.reporting), tmp_path)


@pytest.mark.parametrize("way", RUNS)
def test_so_it_is_with_the_machines_own_postgresql(
    system_server: Server, databases: Databases, tmp_path: Path, way: str
) -> None:
    """Which is an older one, as a rule."""
    system_server.psql("CREATE DATABASE kept")
    try:
        for source in shop(Database(system_server, "kept")):
            reading = READINGS["where a view over a table that the role may not read"]
            assert_kept(reading, way, Databases(source, databases.reporting), tmp_path)
    finally:
        system_server.psql("DROP DATABASE kept WITH (FORCE)")


FILTERED = 'where = "id IN (SELECT f.id FROM public.wanted AS f)"'
RELOAD = "TRUNCATE wanted; INSERT INTO wanted VALUES (2, 0, 0), (3, 0, 0)"
ALTER = "ALTER TABLE wanted ADD COLUMN later int"


@pytest.fixture
def wanted(source: Database) -> Database:
    """A source whose table of wanted orders has all three."""
    source.execute(PLAIN.format("wanted"))
    return source


def test_a_run_waits_for_who_loads_a_filter_anew_and_sees_what_they_did(
    wanted: Database, databases: Databases, tmp_path: Path
) -> None:
    """TRUNCATE and INSERT in one transaction is the usual way, and the table is empty for who looked before its end."""
    etl = of(Databases(wanted, databases.reporting), tmp_path, FILTERED)
    with wanted.connect() as session:
        with session.transaction():
            session.execute(RELOAD)
            running = etl.started("run")
            process = running.__enter__()
            until(lambda: waiting(wanted, "EXPLAIN"), "the run waits for the table")
        done = ended(process)
        running.__exit__(None, None, None)
    succeeded(done)
    assert databases.reporting.rows("SELECT id FROM orders ORDER BY id") == [(2,), (3,)]


def test_a_snapshot_that_is_taken_anew_locks_again(wanted: Database, databases: Databases, tmp_path: Path) -> None:
    """The holder is lost while somebody is about to load the filter anew: the second snapshot waits for them."""
    etl, target = of(Databases(wanted, databases.reporting), tmp_path, FILTERED), databases.reporting
    with loading(etl, target) as process, wanted.connect() as session:
        with session.transaction():
            with staging_locked(target):
                until(lambda: waiting(target, "etl_staging_public"), "the load waits with its snapshot")
                kill_holder(wanted)
                session.execute(RELOAD)
            until(lambda: waiting(wanted, "EXPLAIN"), "the run waits for the table")
        done = succeeded(ended(process))
    assert [event["event"] for event in done.events].count("snapshot.lost") == 1
    assert target.rows("SELECT id FROM orders ORDER BY id") == [(2,), (3,)]


@pytest.mark.parametrize("loaded", ["wanted", "orders"])
def test_a_batch_waits_for_who_loads_a_table_anew(
    wanted: Database, databases: Databases, tmp_path: Path, loaded: str
) -> None:
    """Else it would find no rows, and say that it is done."""
    wanted.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
    etl = of(Databases(wanted, databases.reporting), tmp_path, FILTERED)
    answers: list[dict[str, Any]] = []
    with function("etl.functions.copy_batch", etl.environment) as copy, wanted.connect() as session:
        assert copy.invoke({"table": "orders", "limit": 1})["last_id"] == 1
        asking = threading.Thread(target=lambda: answers.append(copy.invoke({"table": "orders", "limit": 10})))
        with session.transaction():
            with locked(databases.reporting, "etl.watermarks"):
                asking.start()
                until(lambda: waiting(databases.reporting, "etl.watermarks"), "the batch has planned its SQL")
                session.execute(f"CREATE TEMPORARY TABLE old AS TABLE {loaded}; TRUNCATE {loaded}".encode())
            until(lambda: waiting(wanted), "the batch waits")
            session.execute(f"INSERT INTO {loaded} TABLE old".encode())
        asking.join(60)
    assert [(one["rows"], one["last_id"]) for one in answers] == [(2, 3)]
    assert left_open(wanted) == []


def test_a_table_that_only_a_function_reads_is_locked_where_it_is_named_too(
    wanted: Database, databases: Databases, tmp_path: Path
) -> None:
    """Nobody can know what a function reads; so docs/guarantees.md says to name it."""
    wanted.execute(
        "CREATE FUNCTION hidden() RETURNS SETOF int LANGUAGE sql AS 'SELECT id FROM public.wanted';"
        "CREATE VIEW seen AS SELECT id FROM hidden() AS id"
    )
    etl, change = of(Databases(wanted, databases.reporting), tmp_path, ""), "TRUNCATE wanted"
    with holding(etl, databases.reporting, TABLES="seen,wanted") as holder:
        with changing(wanted, [change]):
            give_way(wanted, change)
        succeeded(etl("run", **SHARD, TABLES="seen,wanted"))
        succeeded(ended(holder))
    succeeded(etl("publish"))
    assert databases.reporting.value("SELECT count(*) FROM seen") == 3


def test_page_ranges_are_read_while_somebody_waits_to_alter_what_their_condition_reads(
    wanted: Database, databases: Databases, tmp_path: Path
) -> None:
    """The holder, which has its lock, reads them; a reader would wait behind who waits for the holder."""
    wanted.execute("INSERT INTO orders SELECT g, 0 FROM generate_series(4, 5000) g; ANALYZE orders")
    etl = of(Databases(wanted, databases.reporting), tmp_path, FILTERED + "\nsplit = 4")
    with loading(etl, databases.reporting) as process, ExitStack() as stack:
        with staging_locked(databases.reporting):
            until(lambda: waiting(databases.reporting, "etl_staging_public"), "the load waits with its snapshot")
            stack.enter_context(changing(wanted, [ALTER]))
        done = succeeded(ended(process))
    assert done.event("table.loaded")["ranges"] == (4 if cuts_tables() else 1)
    assert databases.reporting.value("SELECT count(*) FROM orders") == 3


@pytest.mark.parametrize("late", [False, True], ids=["before it looks", "before it reads"])
def test_a_shard_fails_clearly_while_somebody_waits_to_alter_what_its_options_read(
    wanted: Database, databases: Databases, tmp_path: Path, late: bool
) -> None:
    """Only the holder could read it now, and it is another process: one line, and the next try succeeds."""
    etl, target = of(Databases(wanted, databases.reporting), tmp_path, FILTERED), databases.reporting
    with holding(etl, target) as holder, changing(wanted, [] if late else [ALTER]), ExitStack() as stack:
        with loading(etl, target, **SHARD) as process:
            if late:
                with staging_locked(target):
                    until(lambda: waiting(target, "etl_staging_public"), "the load waits")
                    stack.enter_context(changing(wanted, [ALTER]))
            done = ended(process, 25)
        assert done.status == 1
        assert "somebody is altering" in done.stderr
        assert "public.orders" in done.stderr
        assert done.stderr.rstrip().count("\n") <= 1
        give_way(wanted, ALTER)
        succeeded(etl("run", **SHARD))
        succeeded(ended(holder))
    assert left_open(wanted) == []


def test_a_shard_refuses_what_the_holder_has_not_locked_because_it_has_other_options(
    wanted: Database, databases: Databases, tmp_path: Path
) -> None:
    """The holder's options say what is locked; without them the shard's tables would be read without a lock."""
    etl = of(Databases(wanted, databases.reporting), tmp_path, FILTERED)
    bare = Etl({name: value for name, value in etl.environment.items() if name != "ETL_OPTIONS_FILE"})
    with holding(bare, databases.reporting):
        done = etl("run", **SHARD)
    assert (done.status, done.stderr) == (
        2,
        "etl: the options' SQL reads public.wanted, which the snapshot's holder has not locked; give `etl snapshot` the"
        " same options as the shards\n",
    )


def test_a_holder_says_which_table_it_waited_for_in_vain_and_leaves_nothing_open(
    wanted: Database, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the table of the run whose options read what somebody keeps."""
    monkeypatch.setattr(limits, "SOURCE_LOCK_TIMEOUT", "200ms")
    with locked(wanted, "wanted"), pytest.raises(LoadFailed) as caught:
        asyncio.run(taken(wanted))
    assert str(caught.value) == (
        "options of public.orders: somebody is altering a table of the source that their SQL reads (canceling statement"
        " due to lock timeout); try again when they are done"
    )
    assert left_open(wanted) == []


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> list[int]:
    """Has something happen each time that one session has all locks and the holder none; counts the times."""
    wait, times = locks.wait, [0]

    async def wait_and_more(*arguments: Any) -> list[Table]:
        tables = await wait(*arguments)
        times[0] += 1
        await asyncio.to_thread(happens)
        return tables

    monkeypatch.setattr(locks, "wait", wait_and_more)
    return times


async def taken(source: Database) -> list[str]:
    """Takes tonight's snapshot, and gives what is locked with it."""
    url, options = DatabaseUrl.parse(source.etl_url, {}), Options.parse(f"[orders]\n{FILTERED}")
    held = await snapshot.take(url, "nightly-etl tonight", [Relation("public", "orders", oid=oid(source))], options)
    try:
        assert held.holder is not None
        pid = held.holder.get_server_pid()
        kept = f"SELECT relation::regclass::text FROM pg_locks WHERE pid = {pid} AND locktype = 'relation' ORDER BY 1"
        return [name for (name,) in source.rows(kept)]
    finally:
        await held.release()


def oid(source: Database) -> int:
    return int(source.value("SELECT 'orders'::regclass::oid::bigint"))


@pytest.mark.parametrize("altered", ["wanted", "orders"])
def test_who_waits_to_alter_a_table_between_the_two_sessions_goes_first(
    wanted: Database, monkeypatch: pytest.MonkeyPatch, altered: str
) -> None:
    """Both let go, and the snapshot is taken when the table is altered: nobody waits in a circle."""
    statement = f"ALTER TABLE {altered} ADD COLUMN later int"
    altering = threading.Thread(target=execute, args=(wanted, statement))

    def alter() -> None:
        if altering.ident is None:
            altering.start()
            until(lambda: waiting(wanted, statement), "the ALTER waits")

    times = meanwhile(monkeypatch, alter)
    assert {"orders", "wanted"} <= {*asyncio.run(taken(wanted))}
    altering.join(60)
    assert times == [2]
    assert left_open(wanted) == []


def test_a_snapshot_is_not_taken_when_the_session_that_keeps_the_locks_for_it_is_lost(
    wanted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could say then that nothing was changed before the holder had the locks itself."""
    keeper = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"

    def lose() -> None:
        for (pid,) in wanted.rows(keeper):
            terminate(wanted, pid)

    meanwhile(monkeypatch, lose)
    with pytest.raises(EXPECTED):
        asyncio.run(taken(wanted))
    assert left_open(wanted) == []
