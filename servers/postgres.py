"""A PostgreSQL server on this machine: it creates, starts, stops and deletes a cluster.

The server listens on 127.0.0.1, on a free port, and has a superuser ``postgres`` without a password. No other machine
can reach it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.port import free_port
from servers.programs import default_bin

_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root; this user is on every Linux

_Command = list[str | Path]

FAST: dict[str, str] = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "256MB"}
"""Settings of the tests, for data that may be lost."""


@dataclass(slots=True)
class Server:
    """A running server: the folders of its programs and its data, and its port."""

    bin: Path
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def start(
        cls,
        bin: Path | None = None,  # noqa: A002 - what such a folder is called everywhere
        settings: Mapping[str, str] | None = None,
        within: Path | None = None,
        **initdb: str,
    ) -> Server:
        """Creates a new cluster and starts it.

        Takes the folder of the programs (``default_bin`` otherwise), server settings, the parent folder of the data
        (otherwise the one that ``ETL_TEST_DATA`` names, or that of temporary files), and initdb's options
        (``locale="C"``). Raises RuntimeError with the server's log when the server does not start within 30 seconds.
        """
        programs, data = bin or default_bin(), _data_folder(within)
        options = {"encoding": "UTF8", "locale": "C.UTF-8", "auth": "trust", "username": "postgres"} | initdb
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        server = cls(programs, data, free_port())
        command: _Command = [programs / "initdb", "-D", data, "--no-sync", *arguments]
        server._make(command, settings)
        return server

    def replica(self, settings: Mapping[str, str] | None = None) -> Server:
        """Creates and starts a hot standby that streams from this server."""
        data = _data_folder()
        source = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        standby = Server(self.bin, data, free_port())
        command: _Command = [
            self.bin / "pg_basebackup",
            *source,
            "-D",
            data,
            "--write-recovery-conf",
            "--checkpoint=fast",
        ]
        standby._make(command, settings)
        return standby

    def _make(self, command: _Command, settings: Mapping[str, str] | None) -> None:
        """Creates the data folder and starts the server; deletes everything if this fails or is interrupted."""
        try:
            _run(command)
            self._launch(settings or {})
        except BaseException:
            self.remove()
            raise

    def _launch(self, settings: Mapping[str, str]) -> None:
        all_settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
        all_settings |= {"port": str(self.port)} | dict(settings)
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in all_settings.items())
        self.restart()

    def restart(self) -> None:
        """Starts the server, also after ``stop``, and waits until it accepts connections."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **_as_unprivileged(),
            )
        deadline = time.monotonic() + 30
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server did not come up:\n{said}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        ready: _Command = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.data.parent / "log"

    def url(self, dbname: str = "postgres", user: str = "postgres", host: str = "127.0.0.1") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@{host}:{self.port}/{dbname}"

    def psql(self, statements: str, dbname: str = "postgres", *options: str) -> str:
        """Runs SQL with psql; returns its unaligned output. Raises CalledProcessError when it fails."""
        command: _Command = [self.bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *options, self.url(dbname)]
        return subprocess.run(command, input=statements, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops the server. SIGINT is a fast shutdown; SIGQUIT is an immediate one, like a power failure."""
        assert self.process is not None, "the server was never started"
        self.process.send_signal(how)
        self.process.wait(timeout=30)

    def remove(self) -> None:
        """Stops the server and deletes its data."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.data.parent, ignore_errors=True)


def _data_folder(within: Path | None = None) -> Path:
    root = Path(tempfile.mkdtemp(prefix="nightly-etl-", dir=within or os.environ.get("ETL_TEST_DATA")))
    root.chmod(0o755)  # root owns the folder, and the server runs as another user
    data = root / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, _UNPRIVILEGED)
    return data


def _as_unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(command: _Command) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, **_as_unprivileged())
    if done.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name} failed: {done.stderr or done.stdout}")
