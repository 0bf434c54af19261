"""Situations that a test waits for or creates: a COPY that stands still, a held lock, a terminated session.

Nothing here sleeps for a fixed time: each wait polls for its condition, and at a deadline fails with the condition's
name.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.harness import TIMEOUT, Database, Databases, Done

GATE = 4711
"""The key of the advisory lock that every gate waits for."""


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Polls until ``condition`` is true. After ``seconds`` it fails with ``what``, the name of the condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def settled(database: Database) -> None:
    """Waits until no transaction with an id runs in the server: rows that are there are then older than a snapshot."""
    query = "SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s"
    until(lambda: database.value(query), "the end of other transactions")


def ended(process: subprocess.Popen[str], seconds: float = TIMEOUT) -> Done:
    """Waits until a started ``etl`` ends by itself."""
    stdout, stderr = process.communicate(timeout=seconds)
    return Done(process.returncode, stdout, stderr)


def peak_of(process: subprocess.Popen[str]) -> int:
    """Waits for a process to end; returns its peak memory in bytes.

    The process's output must fit in the pipe, or another thread must read it meanwhile.

    The peak is the kernel's VmHWM, read while the process lives. ru_maxrss of wait4() is useless here: exec() keeps the
    parent's peak, and the parent is pytest. A child of a process that had 700 MB reports 700 MB, even ``true``.
    """
    peak = 0
    while process.poll() is None:
        with suppress(FileNotFoundError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            # a zombie has none
            if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
                peak = max(peak, int(found[1]) * 1024)
        time.sleep(0.02)
    return peak


@contextmanager
def locked(database: Database, table: str, mode: str = "ACCESS EXCLUSIVE") -> Iterator[None]:
    """Holds a lock on a table for as long as the block lasts."""
    with database.connect() as session, session.transaction():
        session.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())
        yield


@contextmanager
def reading(database: Database, table: str) -> Iterator[None]:
    """Keeps a transaction that has read a table open for as long as the block lasts."""
    with database.connect(application_name="long report") as session, session.transaction():
        session.execute(f"SELECT count(*) FROM {table}".encode())
        yield


@contextmanager
def gate_closed(database: Database) -> Iterator[None]:
    """Closes the database's gates for as long as the block lasts: every call of ``public.gate`` waits."""
    with database.connect() as session:
        session.execute(sql.SQL("SELECT pg_advisory_lock({})").format(sql.Literal(GATE)))
        yield


def make_orders_and_items(databases: Databases) -> Databases:
    """Creates two tables of one row each in the source; returns the databases."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 1 AS id")
    return databases


def make_shop(databases: Databases) -> None:
    """Creates three tables in the source whose rows are older than any snapshot; ``log`` has no key."""
    databases.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, total int);"
        "INSERT INTO orders SELECT n, n FROM generate_series(1, 90) n;"
        "CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers SELECT generate_series(1, 9);"
        "CREATE TABLE log (line text); INSERT INTO log VALUES ('one')"
    )
    settled(databases.operational)


def make_gate(database: Database) -> None:
    """Creates the function ``public.gate(int)``, which returns its argument, and waits while the gates are closed."""
    database.execute(
        "CREATE FUNCTION public.gate(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        f" PERFORM pg_catalog.pg_advisory_xact_lock_shared({GATE}); RETURN n; END $$"
    )


def make_gated(database: Database, name: str = "gated", rows: int = 40_000) -> None:
    """Creates a relation whose COPY stops after about 1 MB for as long as the gates are closed."""
    make_gate(database)
    database.execute(
        f"CREATE VIEW {name} AS SELECT id, repeat('x', 40) AS note,"
        f" CASE WHEN id = {rows // 2} THEN public.gate(id) END AS gate FROM generate_series(1, {rows}) id"
    )


def waiting(database: Database, query: str = "") -> list[int]:
    """The pids of the sessions that wait for a lock in a statement that contains ``query``."""
    with database.connect() as session:
        rows = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND strpos(query, %s) > 0",
            [query],
        )
        return [pid for (pid,) in rows]


def sessions(database: Database, query: str, run_id: str = "tonight") -> list[int]:
    """The pids of a run's sessions whose last statement contains ``query``."""
    with database.connect() as session:
        rows = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
            " AND strpos(query, %s) > 0",
            [f"nightly-etl {run_id}", query],
        )
        return [pid for (pid,) in rows]


def terminate(database: Database, pid: int) -> None:
    """Terminates a session, and waits until it is gone; before PostgreSQL 14 the server cannot wait itself."""
    assert database.value(f"SELECT pg_terminate_backend({pid})")
    gone = f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})"
    until(lambda: database.value(gone), f"the end of session {pid}")


def kill(database: Database, query: str, run_id: str = "tonight") -> None:
    """Terminates the one session of a run whose last statement contains ``query``, and waits until it is gone."""
    until(lambda: len(sessions(database, query, run_id)) == 1, f"one session of run {run_id} with {query!r}")
    (pid,) = sessions(database, query, run_id)
    terminate(database, pid)


def kill_holder(source: Database, run_id: str = "tonight") -> None:
    """Terminates the session that holds a run's snapshot: the run's only session that is idle in a transaction."""
    ((pid,),) = source.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        f" AND application_name = 'nightly-etl {run_id}'"
    )
    terminate(source, pid)


def kill_control(target: Database, run_id: str = "tonight") -> None:
    """Terminates a run's control session, which holds the run's lock."""
    ((pid,),) = target.rows(
        f"WITH h (key) AS (SELECT hashtextextended('nightly-etl run {run_id}', 0))"
        " SELECT l.pid FROM pg_locks l, h WHERE l.locktype = 'advisory' AND l.granted"
        " AND l.classid::bigint = (h.key >> 32) & 4294967295 AND l.objid::bigint = h.key & 4294967295"
    )
    terminate(target, pid)


def live(database: Database) -> list[tuple[str, int]]:
    """The live tables with their oids. A replaced table has a new oid."""
    rows = database.rows(
        "SELECT c.relname::text, c.oid::bigint FROM pg_class c WHERE c.relkind = 'r'"
        " AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    return [(name, oid) for name, oid in rows]


def ledger(database: Database, run_id: str = "tonight") -> tuple[str, str | None]:
    """A run's status and error in the ledger."""
    ((status, error),) = database.rows(f"SELECT status, error FROM etl.runs WHERE run_id = '{run_id}'")
    return status, error


@contextmanager
def small_tablespace(database: Database, size: str) -> Iterator[str]:
    """A tablespace on a tmpfs of a size such as ``4m``, for as long as the block lasts. Needs root, on Linux."""
    folder = database.server.data.parent / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", folder], check=True)
    try:
        space = folder / "space"
        space.mkdir()
        owner = database.server.data.stat()
        os.chown(space, owner.st_uid, owner.st_gid)
        database.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        try:
            yield "small"
        finally:
            until(lambda: _is_dropped(database), "the small tablespace is empty, and dropped")
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def _is_dropped(database: Database) -> bool:
    try:
        database.execute("DROP TABLESPACE small")
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return False
    return True
