"""What a client costs: wall time, CPU and peak memory of the processes that do the copying, servers left out."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Command = Sequence[str | Path]

SAMPLING = 0.02
"""Seconds between two looks at the clients' memory; the kernel keeps the peak, so only the last look matters."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a pipeline of client processes took: seconds, CPU seconds, peak bytes, and what it printed."""

    wall: float
    cpu: float
    peak: int
    output: str = ""
    first_byte: float | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Gives the spread of some values."""
        return cls(min(values), statistics.median(values), max(values))


class _Peaks(threading.Thread):
    """Watches processes' peak resident memory (VmHWM) for as long as they live.

    wait4()'s ru_maxrss will not do: a process inherits it from the one that forked it, which is us.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys(pids, 0)
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(SAMPLING):
            for pid, peak in self.peaks.items():
                self.peaks[pid] = max(peak, _peak_of(pid))


def _peak_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def measure(
    pipeline: Sequence[Command],
    environment: Mapping[str, str] | None = None,
    first_byte: Callable[[], float] | None = None,
) -> Usage:
    """Runs commands, each one's output the next one's input, to their end.

    Takes variables to set beside the inherited environment, and a function that waits for the copy's first
    byte and gives the time at which it came. Raises RuntimeError when a command fails.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        processes = _started(pipeline, _clean(os.environ) | dict(environment or {}), output, errors)
        watch = _Peaks([process.pid for process in processes])
        watch.start()
        came = first_byte() if first_byte else None
        spent = [_ended(process, errors) for process in processes]
        wall = time.perf_counter() - began
        watch.over.set()
        watch.join()
        output.seek(0)
        first = None if came is None else came - began
        return Usage(wall, sum(spent), sum(watch.peaks.values()), output.read(), first)


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    ours = ("ETL_", "AWS_", "PG", "TABLES", "PYTHON")  # nothing that would reach a client by accident
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def _started(
    pipeline: Sequence[Command], environment: dict[str, str], output: IO[str], errors: IO[str]
) -> list[subprocess.Popen[bytes]]:
    processes: list[subprocess.Popen[bytes]] = []
    for number, command in enumerate(pipeline, 1):
        given = processes[-1].stdout if processes else subprocess.DEVNULL
        to = output if number == len(pipeline) else subprocess.PIPE
        processes.append(subprocess.Popen(list(command), stdin=given, stdout=to, stderr=errors, env=environment))
        if processes[1:]:
            assert processes[-2].stdout is not None
            processes[-2].stdout.close()  # the reader alone holds its end, so that a writer learns of its death
    return processes


def _ended(process: subprocess.Popen[bytes], errors: IO[str]) -> float:
    """Waits for a process; gives its CPU seconds, its own children's included."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        errors.seek(0)
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {errors.read()[-2000:]}")
    return cpu_seconds(usage)


def cpu_seconds(usage: resource.struct_rusage) -> float:
    """Gives user and system seconds together."""
    return usage.ru_utime + usage.ru_stime
