"""A signal at any moment: exit status 143 or 130 within five seconds, staging dropped, the ledger closed."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.harness import Databases, Done, Etl, environment_of
from tests.situations import ended, gate_closed, ledger, live, locked, make_gate, make_gated, reading, until, waiting

SECONDS = 5
"""What the interface promises; ECS, Docker and Batch send SIGKILL after ten at the earliest."""

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def yesterday(databases: Databases, etl: Etl) -> Databases:
    """Two tables, copied once; a row more in the source since."""
    databases.operational.execute("CREATE TABLE orders (id int); CREATE TABLE items (id int)")
    assert etl("run", TABLES="orders,items").status == 0
    databases.operational.execute("INSERT INTO orders VALUES (1); INSERT INTO items VALUES (1)")
    return databases


def stop(process: subprocess.Popen[str], signum: signal.Signals) -> Done:
    """Sends a signal and waits for the end, for as long as the interface promises."""
    process.send_signal(signum)
    began = time.monotonic()
    done = ended(process)
    assert time.monotonic() - began < SECONDS
    assert done.status == 128 + signum
    assert done.stderr == f"etl: stopped by {signum.name}\n"
    return done


def assert_interrupted(done: Done, databases: Databases, before: object) -> None:
    """The live tables are as they were, no staging tables are left, and the ledger has the reason."""
    assert done.event("run.finished")["status"] == "interrupted"
    assert live(databases.reporting) == before
    assert databases.staging_tables() == []
    assert ledger(databases.reporting) == ("interrupted", "stopped by a signal")
    assert databases.reporting.value("SELECT finished_at IS NOT NULL FROM etl.runs WHERE run_id = 'tonight'")
    loads = databases.reporting.rows("SELECT status FROM etl.loads WHERE run_id = 'tonight'")
    assert {status for (status,) in loads} <= {"failed"}


@contextmanager
def in_a_copy(databases: Databases) -> Iterator[str]:
    """Stands still in the middle of a COPY; yields a part of the waiting statement."""
    make_gated(databases.operational)
    with gate_closed(databases.operational):
        yield "COPY (/* etl: copy out */ SELECT"


@contextmanager
def in_an_index_build(databases: Databases) -> Iterator[str]:
    """Stands still in CREATE INDEX, on the target."""
    make_gate(databases.operational)
    make_gate(databases.reporting)
    databases.operational.execute("CREATE TABLE gated AS SELECT 1 AS id; CREATE INDEX slow ON gated (public.gate(id))")
    with gate_closed(databases.reporting):
        yield "CREATE INDEX"


@contextmanager
def in_the_publish(databases: Databases) -> Iterator[str]:
    """Stands still before the publish, whose locks a long report holds up."""
    databases.operational.execute("CREATE TABLE gated AS SELECT 1 AS id")
    with reading(databases.reporting, "orders"):
        yield "LOCK TABLE"


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("moment", [in_a_copy, in_an_index_build, in_the_publish])
def test_a_run_that_is_stopped_clears_up_at_once(
    yesterday: Databases, etl: Etl, moment: type, signum: signal.Signals
) -> None:
    """In the middle of a COPY, of an index build, of the publish's wait for its locks; the next run succeeds."""
    with moment(yesterday) as statement:
        before = live(yesterday.reporting)
        with etl.started("run", TABLES="orders,items,gated", ETL_RUN_ID="tonight") as process:
            until(
                lambda: waiting(yesterday.operational, statement) or waiting(yesterday.reporting, statement), statement
            )
            done = stop(process, signum)
        assert_interrupted(done, yesterday, before)
    assert etl("run", TABLES="orders,items,gated").status == 0
    assert yesterday.reporting.rows("SELECT * FROM orders") == [(1,)]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def connected(port: int) -> bool:
    """Tells whether somebody has an established connection to a port of this machine."""

    return any(
        one.raddr and one.raddr.port == port and one.status == "ESTABLISHED" for one in psutil.net_connections("tcp4")
    )


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("setting", ["ETL_OPERATIONAL_URL", "ETL_REPORTING_URL", "AWS_ENDPOINT_URL"])
def test_a_run_that_waits_for_a_silent_port_stops_at_once(etl: Etl, setting: str, signum: signal.Signals) -> None:
    """etl obeys a signal even while a database or a Parameter Store does not answer."""
    with silent_port() as port, ExitStack() as stack:
        aws = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        silent = f"http://127.0.0.1:{port}" if setting == "AWS_ENDPOINT_URL" else f"postgresql://etl@127.0.0.1:{port}/x"
        path = {"ETL_PARAMETER_PATH": "/nightly-etl/prod"} if setting == "AWS_ENDPOINT_URL" else {}
        variables = aws | path | {"TABLES": "orders", setting: silent}
        process = stack.enter_context(etl.started("run", **variables))
        until(lambda: connected(port), "the connection")
        stop(process, signum)


def test_a_hangup_stops_a_run_like_sigterm(yesterday: Databases, etl: Etl) -> None:
    """The terminal that it was started on has been closed: nothing is left half done."""
    with in_a_copy(yesterday) as statement:
        before = live(yesterday.reporting)
        with etl.started("run", TABLES="orders,items,gated", ETL_RUN_ID="tonight") as process:
            until(lambda: waiting(yesterday.operational, statement), statement)
            done = stop(process, signal.SIGHUP)
        assert_interrupted(done, yesterday, before)


def test_a_run_whose_terminal_is_closed_clears_up(yesterday: Databases, etl: Etl) -> None:
    """Bars can be drawn no longer, and nothing can be written; the kernel sends SIGHUP to the session."""
    with in_a_copy(yesterday) as statement:
        leader, follower = pty.openpty()
        environment = environment_of(etl.environment | {"TABLES": "orders,items,gated", "ETL_RUN_ID": "tonight"})
        command = [sys.executable, "-c", _ON_A_TERMINAL]
        process = subprocess.Popen(
            command, env=environment | {"TERM": "xterm"}, stdin=follower, stdout=follower, stderr=follower,
            start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        until(lambda: os.read(leader, 65536) and waiting(yesterday.operational, statement), statement)
        os.close(leader)
        assert process.wait(SECONDS) == 128 + signal.SIGHUP
    assert ledger(yesterday.reporting) == ("interrupted", "stopped by a signal")
    assert yesterday.staging_tables() == []


_ON_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that closing it hangs up this session
sys.argv[:] = ["etl", "run"]
from etl.__main__ import main
main()
"""


def test_a_run_that_is_to_survive_a_hangup_does(yesterday: Databases, etl: Etl) -> None:
    """As with nohup, which ignores the signal."""
    with ExitStack() as gate:
        statement = gate.enter_context(in_a_copy(yesterday))
        script = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv[:] = ['etl', 'run']"
        command = [sys.executable, "-c", f"{script}; from etl.__main__ import main; main()"]
        environment = environment_of(etl.environment | {"TABLES": "orders,items,gated", "ETL_RUN_ID": "tonight"})
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            until(lambda: waiting(yesterday.operational, statement), statement)
            process.send_signal(signal.SIGHUP)
            gate.close()
            assert process.wait(60) == 0
    assert ledger(yesterday.reporting) == ("published", None)


def test_a_run_that_is_stopped_before_its_row_is_in_history(yesterday: Databases, etl: Etl) -> None:
    """It waits for a table that is locked in the source, and has not begun."""
    with (
        locked(yesterday.operational, "orders"),
        etl.started("run", TABLES="orders,items", ETL_RUN_ID="tonight") as process,
    ):
        until(lambda: waiting(yesterday.operational), "the lock")
        stop(process, signal.SIGTERM)
    assert ledger(yesterday.reporting) == ("interrupted", "stopped by a signal")
