"""Commands that the fork server starts: what the tests see of them is what they see of a subprocess."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests import cloud, forkserver
from tests.harness import TIMEOUT, Etl, environment_of
from tests.situations import ended, until

STARTS = """
import sys
from tests.harness import Etl
with Etl(dict(zip(sys.argv[1::2], sys.argv[2::2]))).started("run") as process:
    print(process.pid, flush=True)
    process.wait()
"""
"""A program that starts ``etl run`` with the variables that its arguments name, and waits for its end."""


@dataclass(frozen=True)
class Silent:
    """A Parameter Store that accepts connections and says nothing; ``etl`` waits for its answer."""

    server: socket.socket

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead ``etl`` to it."""
        endpoint = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        return cloud.account(endpoint) | {"ETL_PARAMETER_PATH": "/prod"}

    def reached(self) -> socket.socket:
        """Waits for a connection."""
        return self.server.accept()[0]


@pytest.fixture
def silent() -> Iterator[Silent]:
    """A server without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        yield Silent(server)


@pytest.mark.parametrize("arguments", ["--version", "run", "run --wrong", "settings --json"])
def test_a_fork_says_what_a_new_interpreter_says(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status, output and errors, with variables and a folder that the server was not started with."""
    (tmp_path / "options.toml").write_text("[orders]\nlimit = 3\n")
    environment = {"ETL_OPTIONS_FILE": "options.toml", "TABLES": "orders, ümlaut", "ETL_RUN_ID": "tonight"}
    new = Etl(environment, fresh=True)(*arguments.split())
    with Etl(environment).started(*arguments.split()) as process:
        assert isinstance(process, forkserver.Forked)
        assert ended(process) == new

    monkeypatch.chdir(tmp_path)
    here = Etl(environment)(*arguments.split())
    assert (here == new) == (not arguments.startswith("settings") and arguments != "run"), "the file is in this folder"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_command(silent: Silent, signum: signal.Signals) -> None:
    """Its pid is the command's until pytest has the exit status, and nobody's afterwards."""
    with Etl(silent.environment).started("run") as process, silent.reached():
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signum)
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "the command has ended")
        done = ended(process)
    killed = signum == signal.SIGKILL
    assert done.status == (-signum if killed else 128 + signum)
    assert done.stderr == ("" if killed else f"etl: stopped by {signum.name}\n")
    until(lambda: not psutil.pid_exists(process.pid), "the pid is free")


def test_no_command_outlives_pytest(silent: Silent) -> None:
    """Also if pytest is killed, no process of the server is left."""
    variables = [text for pair in silent.environment.items() for text in pair]
    command = [sys.executable, "-c", STARTS, *variables]
    with subprocess.Popen(command, env=environment_of({}), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        with silent.reached():
            family = psutil.Process(process.pid).children(recursive=True)
            assert (len(family), pid in [one.pid for one in family]) == (3, True), "server, keeper, command"
            process.kill()
            _, alive = psutil.wait_procs(family, timeout=TIMEOUT)
    assert alive == []


@pytest.mark.parametrize("variables", [{"PYTHONUTF8": "1"}, {"LC_ALL": "tr_TR"}, {"TZ": "Asia/Tokyo"}])
def test_a_variable_that_is_read_at_the_start_takes_a_new_interpreter(variables: dict[str, str]) -> None:
    """A fork would not see it."""
    with Etl(variables).started("--version") as process:
        assert not isinstance(process, forkserver.Forked)
