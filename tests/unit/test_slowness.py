"""Since which night a table is slow."""

from __future__ import annotations

import pytest

from etl.commands.slowness import Slow, slow

CASES: dict[str, tuple[list[float], Slow | None]] = {
    "as always": ([10, 11, 9, 10, 12, 10], None),
    "three times as long for two nights": ([10, 11, 9, 10, 30, 31], Slow(4, 10.0, 30.5)),
    "slow for a week": ([10, 11, 9, *[30] * 7], Slow(3, 10, 30)),
    "one slow night": ([10, 11, 9, 10, 30], None),
    "a slow night in between": ([10, 11, 9, 40, 10, 11, 10], None),
    "all rows every fourth night": ([1, 1, 1, 20, 1, 1, 1, 20, 1, 1, 1, 20], None),
    "faster than before": ([30, 30, 30, 10, 10], None),
    "tiny": ([0.1, 0.1, 0.1, 0.3, 0.3], None),
    "two nights": ([1, 30], None),
    "none": ([], None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_table_is_slow_since_its_usual_seconds_have_changed(case: str) -> None:
    """By half and a second at least, and for two nights at least."""
    seconds, expected = CASES[case]
    assert slow([float(one) for one in seconds]) == expected
