"""Memory of index builds, given as a total or taken from the server's settings; and memory of a stream's pieces."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from etl.target.memory import share

MB, GB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("total", "own", "buffers", "jobs", "each"),
    [
        (4 * GB, 64 * MB, 128 * MB, 4, 1 * GB),  # as requested
        (1 * MB, 64 * MB, 128 * MB, 64, 1 * MB),  # PostgreSQL's minimum
        (None, 64 * MB, 128 * MB, 4, 64 * MB),  # PostgreSQL's defaults
        (None, 16 * MB, 128 * MB, 4, 16 * MB),  # a small server's own setting
        (None, 2 * GB, 8 * GB, 4, 512 * MB),  # one build's setting is divided among all builds
        (None, 512 * MB, 8 * GB, 4, 256 * MB),  # RDS with 32 GB
    ],
)
def test_each_build_takes_its_share(total: int | None, own: int, buffers: int, jobs: int, each: int) -> None:
    """Many builds never get the server's full maintenance_work_mem each."""
    assert share(total, own, buffers, jobs) == each


PIECES = """
import resource
from etl.source.stream import keep_buffers
{keep}
held = [bytes(200_000) for _ in range(4)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(1000):
    held = [bytes(200_000 + n) for n in range(4)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt(3) is glibc's: run it on Debian, say")
def test_a_streams_pieces_are_not_asked_of_the_system_again_and_again() -> None:
    """The next piece uses the memory of the last one: there is at most a tenth of the page faults."""
    faults = [
        int(subprocess.run([sys.executable, "-c", PIECES.format(keep=keep)], check=True, capture_output=True).stdout)
        for keep in ("", "keep_buffers()")
    ]
    assert faults[1] * 10 < faults[0]
