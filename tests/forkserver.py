"""A fork server: it imports ``etl`` once, and then forks a process for each command of a test.

A start of ``etl`` takes ten times the CPU of such a fork, and more than most commands. The command is a process of its
own, with the arguments, environment, folder and streams that the test gives, and with the pid, signals and exit status
of a subprocess. Each pytest process has its own server, which its first command starts.

For each command the server forks a keeper, which forks the command. The keeper is the command's parent: it tells pytest
the command's pid, waits for the command's end, and tells the status. Until pytest has read it, the command stays a
zombie, so that no other process gets its pid. If pytest dies, the server reads the end of its socket and exits; the
kernel then kills the keepers, and with them the commands.

A fork cannot show how an interpreter starts and ends: which modules a command imports and in which order, the variables
that are read at the start (``READ_AT_START``), the memory that a process takes by itself, the last flush of standard
output. Tests about these take a new interpreter (``fresh``), and so do all tests under ``make coverage``.

multiprocessing's fork server is no help: its processes have neither streams nor an environment of their own, and they
outlive a killed pytest.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

READ_AT_START = ("PYTHON", "COVERAGE_", "LANG", "LC_", "LD_", "TZ", "NO_COLOR", "FORCE_COLOR")
"""How the variables begin that the interpreter, the dynamic linker, or a library reads only at its start."""

INHERITED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of the server: pytest's, before tests change it."""

PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that sets the signal which a process gets when its parent dies, from <linux/prctl.h>."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a command is started with, beside its streams."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str


class Forked(subprocess.Popen[Any]):
    """A process that the fork server starts; in all else a subprocess.

    For this Popen's three calls of the operating system are replaced, which start a process, wait for it, and ask
    whether it has ended. They are private, but the same since Python 3.11.
    """

    _keeper: Connection

    def _execute_child(self, *given: Any) -> None:
        names = inspect.signature(subprocess.Popen._execute_child).parameters  # type: ignore[attr-defined]
        asked = dict(zip(names, (self, *given), strict=True))
        pipes = [asked[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        streams = [given if given >= 0 else own for own, given in enumerate((pipes[0], pipes[3], pipes[5]))]
        self._keeper, theirs = Pipe()
        with theirs:
            socket.send_fds(_server(), [b"fork"], [theirs.fileno(), *streams])
        self._keeper.send(Request(asked["args"], asked["env"], str(Path.cwd())))
        self.pid = self._keeper.recv()
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if not self._keeper.poll(0 if flags & os.WNOHANG else None):
            return 0, 0
        status = self._keeper.recv()
        self._keeper.close()  # the keeper ends
        return self.pid, status

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        lock = self._waitpid_lock  # type: ignore[attr-defined]
        if lock.acquire(blocking=False):  # otherwise another thread waits
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode


def start(
    arguments: Sequence[str], environment: Mapping[str, str], *, fresh: bool = False, **how: Any
) -> subprocess.Popen[Any]:
    """Starts ``etl``. ``how`` are Popen's arguments for the streams.

    The process is a new interpreter, and not a fork, if the test asks for a ``fresh`` one, if the environment has other
    variables of READ_AT_START than the server's, or if coverage is measured.
    """
    wanted, had = _read_at_start(environment), _read_at_start(INHERITED)
    if fresh or wanted != had or "COVERAGE_PROCESS_CONFIG" in wanted:
        return subprocess.Popen([sys.executable, "-m", "etl", *arguments], env=environment, **how)
    return Forked(arguments, env=environment, **how)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


_starting = threading.Lock()


def _server() -> socket.socket:
    """The socket of this process's fork server, which the first call starts; tests start commands in threads, too."""
    with _starting:
        return _started()[0]


@cache
def _started() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command, fd = [sys.executable, "-m", "tests.forkserver"], theirs.fileno()
        return ours, subprocess.Popen([*command, str(fd)], env=INHERITED, pass_fds=[fd], stdin=subprocess.DEVNULL)


def serve(pytest: socket.socket) -> bool:
    """Forks for each message of pytest, until pytest ends. True in a fork, which is to run ``etl``."""
    gc.disable()
    for module in pkgutil.walk_packages(import_module("etl").__path__, "etl."):
        import_module(module.name)
    gc.freeze()  # a collection would write into the pages that all commands share
    assert threading.active_count() == 1, "an import has started a thread, which a fork would not have"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; it is for pytest and commands
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers become no zombies
    while True:
        message, fds, _, _ = socket.recv_fds(pytest, 16, 4)
        if not message:
            return False
        if os.fork() == 0:
            pytest.close()
            return _keep(Connection(fds[0]), fds[1:])
        for fd in fds:
            os.close(fd)


def _keep(pytest: Connection, streams: Sequence[int]) -> bool:
    """Forks the command and waits for its end. Returns only in the command, and then true."""
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        request = pytest.recv()
        if pid := os.fork():
            _wait(pid, pytest, streams)
    except (EOFError, OSError):  # pytest does not want the command any more, or is gone
        os._exit(1)
    pytest.close()
    _die_with_parent()
    become(request, streams)
    return True


def _wait(pid: int, pytest: Connection, streams: Sequence[int]) -> NoReturn:
    """Tells pytest the command's pid and its status, and ends when pytest has read them."""
    for fd in streams:
        os.close(fd)  # otherwise pytest would not see the end of the command's output
    pytest.send(pid)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    pytest.send(ended.si_status << 8 if ended.si_code == os.CLD_EXITED else ended.si_status)
    pytest.poll(None)  # until pytest closes its end
    os.waitpid(pid, 0)
    os._exit(0)


def _die_with_parent() -> None:
    """Lets the kernel kill this process when its parent dies."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def become(request: Request, streams: Sequence[int]) -> None:
    """Gives this process what the request says, with the streams and signals of a new interpreter."""
    for own, given in enumerate(streams):
        os.dup2(given, own)
        os.close(given)
    encoding, errors = sys.stdout.encoding, sys.stdout.errors
    sys.stdin = open(0, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    sys.argv[1:] = request.arguments


def run() -> NoReturn:
    """Runs ``etl``, and ends the process without the interpreter's clearing up.

    This writes into all shared pages, so it would take longer than most commands.
    """
    status: Any = None
    try:
        import_module("etl.__main__").main()
    except SystemExit as end:
        status = end.code
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__" and serve(socket.socket(fileno=int(sys.argv[1]))):
    run()
