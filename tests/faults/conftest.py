"""The fixtures of the fault suite, and the count of what ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.night import Night, nights


@pytest.fixture(scope="session")
def night() -> Iterator[Night]:
    """Two servers that may be killed, a shop, a first night."""
    with nights() as one:
        yield one


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many combinations of fault and stage ran, and how they ended."""
    for outcome in ("passed", "failed"):
        ran = [one for one in terminalreporter.stats.get(outcome, []) if "test_a_fault_at_a_stage[" in one.nodeid]
        if ran:
            terminalreporter.write_line(f"fault x stage: {len(ran)} combinations {outcome}")
