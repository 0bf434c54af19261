"""Situations that a test waits for or makes: a COPY that stands still, a lock held, a session that is gone.

Nothing here sleeps for luck: each wait polls for its condition and fails with the condition's name at a deadline.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import sql

from tests.harness import TIMEOUT, Database, Done

GATE = 4711
"""The advisory lock that a gate waits for."""


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Polls until ``condition`` is true; fails, naming ``what`` did not happen, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def ended(process: subprocess.Popen[str], seconds: float = TIMEOUT) -> Done:
    """Waits for a started ``etl`` to end by itself."""
    stdout, stderr = process.communicate(timeout=seconds)
    return Done(process.returncode, stdout, stderr)


def peak_of(process: subprocess.Popen[str]) -> int:
    """Waits for a process; gives the most memory that it ever had, in bytes.

    Its output must fit in the pipe, or be read meanwhile.

    Read from the kernel's VmHWM while it lives: wait4()'s ru_maxrss is never less than what the parent, which is
    pytest, once had, for exec() takes that over (a child of one that had 700 MB says 700 MB, and be it ``true``).
    """
    peak = 0
    while process.poll() is None:
        with suppress(FileNotFoundError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            # one that has ended has none, until it is waited for
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
    """Has read a table in a transaction that stays open for as long as the block lasts."""
    with database.connect(application_name="long report") as session, session.transaction():
        session.execute(f"SELECT count(*) FROM {table}".encode())
        yield


@contextmanager
def gate_closed(database: Database) -> Iterator[None]:
    """Makes every gate of the database wait for as long as the block lasts."""
    with database.connect() as session:
        session.execute(sql.SQL("SELECT pg_advisory_lock({})").format(sql.Literal(GATE)))
        yield


def make_gate(database: Database) -> None:
    """Makes the function ``public.gate(int)``, which gives its argument, and waits while the gate is closed."""
    database.execute(
        "CREATE FUNCTION public.gate(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        f" PERFORM pg_catalog.pg_advisory_xact_lock_shared({GATE}); RETURN n; END $$"
    )


def make_gated(database: Database, name: str = "gated", rows: int = 40_000) -> None:
    """Makes a relation whose COPY stands still in the middle, after about 1 MB, while the gate is closed."""
    make_gate(database)
    database.execute(
        f"CREATE VIEW {name} AS SELECT id, repeat('x', 40) AS note,"
        f" CASE WHEN id = {rows // 2} THEN public.gate(id) END AS gate FROM generate_series(1, {rows}) id"
    )


def waiting(database: Database, query: str = "") -> list[int]:
    """Gives the pids of the sessions that wait for a lock in a statement that holds ``query``."""
    with database.connect() as session:
        rows = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND strpos(query, %s) > 0",
            [query],
        )
        return [pid for (pid,) in rows]


def sessions(database: Database, query: str, run_id: str = "tonight") -> list[int]:
    """Gives the pids of a run's sessions whose last statement holds ``query``."""
    with database.connect() as session:
        rows = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
            " AND strpos(query, %s) > 0",
            [f"nightly-etl {run_id}", query],
        )
        return [pid for (pid,) in rows]


def kill(database: Database, query: str, run_id: str = "tonight") -> None:
    """Terminates the one session of a run whose last statement holds ``query``, and sees it gone."""
    until(lambda: len(sessions(database, query, run_id)) == 1, f"one session of run {run_id} with {query!r}")
    (pid,) = sessions(database, query, run_id)
    assert database.value(f"SELECT pg_terminate_backend({pid}, 10000)")


def kill_holder(source: Database, run_id: str = "tonight") -> None:
    """Terminates the session that holds a run's snapshot: the one of the run that idles in its transaction."""
    ((pid,),) = source.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        f" AND application_name = 'nightly-etl {run_id}'"
    )
    assert source.value(f"SELECT pg_terminate_backend({pid}, 10000)")


def kill_control(target: Database, run_id: str = "tonight") -> None:
    """Terminates a run's control session: the one that holds the run's lock."""
    ((pid,),) = target.rows(
        f"WITH h (key) AS (SELECT hashtextextended('nightly-etl run {run_id}', 0))"
        " SELECT l.pid FROM pg_locks l, h WHERE l.locktype = 'advisory' AND l.granted"
        " AND l.classid::bigint = (h.key >> 32) & 4294967295 AND l.objid::bigint = h.key & 4294967295"
    )
    assert target.value(f"SELECT pg_terminate_backend({pid}, 10000)")


def live(database: Database) -> list[tuple[str, int]]:
    """Gives the live tables with their oids: a table that was replaced has another."""
    rows = database.rows(
        "SELECT c.relname::text, c.oid::bigint FROM pg_class c WHERE c.relkind = 'r'"
        " AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    return [(name, oid) for name, oid in rows]


def ledger(database: Database, run_id: str = "tonight") -> tuple[str, str | None]:
    """Gives a run's status and error."""
    ((status, error),) = database.rows(f"SELECT status, error FROM etl.runs WHERE run_id = '{run_id}'")
    return status, error
