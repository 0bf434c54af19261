"""Measures a client: wall time, CPU time and peak memory of its processes, without those of the servers."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SAMPLING = 0.1
"""Seconds between two samples of the clients' memory."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a client with all processes that it started: seconds, CPU seconds, peak bytes, and its output."""

    wall: float
    cpu: float
    peak: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, least and greatest of several measurements."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values."""
        return cls(min(values), statistics.median(values), max(values))


class Failed(Exception):  # noqa: N818 -- named by what happened, as in etl.errors
    """A client ended with an error, or did not end in time; says the last it wrote on standard error."""


class _Peak(threading.Thread):
    """Watches the memory of a process and its descendants for as long as they live.

    For one process it is the kernel's own peak of resident memory (VmHWM). For several it is the greatest sum of their
    Pss at one time, because forked processes share most of their pages. ru_maxrss of wait4() is useless here: a process
    inherits it from the process that forked it, which is this one.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(SAMPLING):
            pids = list(_tree(self.pid))
            alone = len(pids) == 1
            look = ("status", "VmHWM:") if alone else ("smaps_rollup", "Pss:")
            self.peak = max(self.peak, sum(_bytes(pid, *look) for pid in pids))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(FileNotFoundError):  # the process has ended
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in _read(children).split():
                yield from _tree(int(child))


def _bytes(pid: int, file: str, name: str) -> int:
    lines = _read(Path(f"/proc/{pid}/{file}")).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def measure(script: str, environment: Mapping[str, str] | None = None, deadline: float | None = None) -> Usage:
    """Runs a bash script to its end, in a session of its own.

    Takes variables to set in addition to the inherited environment, and the seconds after which the script is stopped.
    Raises Failed when it ends with an error or is stopped.
    """
    variables = _clean(os.environ) | dict(environment or {})
    command = ["bash", "-euo", "pipefail", "-c", script]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=variables, start_new_session=True
        )
        watch, timer = _Peak(process.pid), threading.Timer(deadline or threading.TIMEOUT_MAX, _end, [process.pid])
        watch.start()
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _end(process.pid)
            process.wait()
            raise
        finally:
            timer.cancel()
            watch.over.set()
        wall = time.perf_counter() - began
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(
                f"stopped after {wall:.0f} s" if process.returncode == -signal.SIGKILL else _last(errors, output)
            )
        output.seek(0)
        return Usage(wall, usage.ru_utime + usage.ru_stime, watch.peak, output.read())


def _end(pid: int) -> None:
    """Kills a script with all processes that it started: they are one session, which ``measure`` created."""
    with suppress(ProcessLookupError):  # the process has ended
        os.killpg(pid, signal.SIGKILL)


def _last(*files: IO[str]) -> str:
    """The last lines of the first file that is not empty."""
    for file in files:
        file.seek(0)
        if lines := [line.strip() for line in file.read()[-4000:].splitlines() if line.strip()]:
            return " / ".join(lines[-3:])[-600:]
    return "ended with an error and said nothing"


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    ours = ("ETL_", "AWS_", "PG", "TABLES", "PYTHON")  # variables that could change a client by accident
    return {name: value for name, value in environment.items() if not name.startswith(ours)}
