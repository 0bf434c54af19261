"""The memory of index builds: a total, shared out, and what is taken where nobody gives one."""

from __future__ import annotations

import pytest

from etl.memory import share

MB, GB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("total", "own", "buffers", "jobs", "each"),
    [
        (4 * GB, 64 * MB, 128 * MB, 4, 1 * GB),  # what was asked for
        (1 * MB, 64 * MB, 128 * MB, 64, 1 * MB),  # the least that PostgreSQL takes
        (None, 64 * MB, 128 * MB, 4, 64 * MB),  # PostgreSQL as it comes
        (None, 16 * MB, 128 * MB, 4, 16 * MB),  # a small server's own word
        (None, 2 * GB, 8 * GB, 4, 512 * MB),  # one build's own share is what all of them get
        (None, 512 * MB, 8 * GB, 4, 256 * MB),  # RDS with 32 GB
    ],
)
def test_each_build_takes_its_share(total: int | None, own: int, buffers: int, jobs: int, each: int) -> None:
    """Never the server's maintenance_work_mem for each of many."""
    assert share(total, own, buffers, jobs) == each
