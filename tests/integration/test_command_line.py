"""The command line itself: help, version, pipes and early signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from etl import __version__
from tests import cloud
from tests.acceptance.checkout import project_version
from tests.harness import Databases, Etl, environment_of

COMMANDS = ("run", "publish", "abort", "verify", "check", "history")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(command: str, option: str) -> None:
    """Without any setting, and with exit status 0."""
    done = Etl()(command, option)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: etl {command} ")


def test_help_lists_all_commands_and_the_exit_statuses() -> None:
    """``etl --help`` shows them."""
    done = Etl(fresh=True)("--help")
    assert done.status == 0
    for word in (*COMMANDS, "TABLES", "ETL_PARAMETER_PATH", "Exit status"):
        assert word in done.stdout


def test_the_version_is_that_of_pyproject_toml() -> None:
    """One line, exit status 0; the package says the same."""
    done = Etl(fresh=True)("--version")
    assert (done.status, done.stdout, done.stderr) == (0, f"nightly-etl, version {project_version()}\n", "")
    assert __version__ == project_version()


def imported(environment: dict[str, str]) -> set[str]:
    """The modules that a run has imported when it ends."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from etl.__main__ import main; main()"
    command = [sys.executable, "-c", code, "run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()[-1].split())


def test_a_run_with_a_complete_ledger_imports_neither_sqlalchemy_nor_boto3_nor_rich(
    databases: Databases, etl: Etl
) -> None:
    """The first run makes the ledger, with SQLAlchemy; so does one that finds a ledger of an older version."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    environment = os.environ | etl.environment | {"TABLES": "orders"}
    heavy = {"sqlalchemy", "etl.ledger.tables", "boto3", "botocore", "rich"}
    assert imported(environment) & heavy == {"sqlalchemy", "etl.ledger.tables"}
    assert imported(environment) & heavy == set()
    databases.reporting.execute("ALTER TABLE etl.loads DROP COLUMN rows_min")
    assert imported(environment) & heavy == {"sqlalchemy", "etl.ledger.tables"}
    assert imported(environment) & heavy == set()


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_goes_away_does_not_stop_a_run(databases: Databases, etl: Etl, unbuffered: str) -> None:
    """If the log's reader ends, the reporting side must still get today's rows."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    with replace(etl, fresh=True).started("run", TABLES="orders", PYTHONUNBUFFERED=unbuffered) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert databases.reporting.rows("SELECT * FROM orders") == [(1,)]


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_has_seen_enough_is_no_traceback(databases: Databases, etl: Etl, unbuffered: str) -> None:
    """For example ``etl history | head -1``."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    assert etl("run", TABLES="orders").status == 0
    for command in (["history"], ["history", "--json"], ["--help"], ["check"]):
        with replace(etl, fresh=True).started(*command, TABLES="orders", PYTHONUNBUFFERED=unbuffered) as process:
            assert process.stdout is not None
            process.stdout.close()
            _, stderr = process.communicate(timeout=60)
        assert stderr == "", command


def test_a_full_disk_under_standard_output_is_one_line(databases: Databases, etl: Etl) -> None:
    """It names what is full, and what to do; a run whose log cannot be written is over, too, and is not published."""
    databases.operational.execute("CREATE TABLE orders (id int)")
    assert etl("run", TABLES="orders", ETL_RUN_ID="tonight").status == 0
    for command in (["--version"], ["history"], ["report", "tonight", "--output", "-"], ["run", "orders"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "etl", *command],
                env=environment_of(databases.environment),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (done.returncode, done.stderr) == (
            1,
            "etl: standard output cannot be written: No space left on device; free space there, or send it elsewhere\n",
        ), command


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_run_begins_is_told_in_one_line(signum: signal.Signals) -> None:
    """While etl reads its settings. The first process of a container has no default signal handlers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = cloud.account(f"http://127.0.0.1:{silent.getsockname()[1]}") | {"ETL_PARAMETER_PATH": "/prod"}
        with Etl(environment, fresh=True).started("run") as process:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                os.kill(process.pid, signum)
                stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (128 + signum, "", f"etl: stopped by {signum.name}\n")
