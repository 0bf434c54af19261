"""The fixtures of the fault suite, and the count of what ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.night import Night, nights
from tests.harness import Databases, Etl


@pytest.fixture(scope="session")
def night() -> Iterator[Night]:
    """Two servers that may be killed, a shop, a first night."""
    with nights() as one:
        yield one


@pytest.fixture
def etl(databases: Databases) -> Etl:
    """``etl`` as a new interpreter, with the URLs of the two databases in its environment."""
    return Etl(databases.environment, fresh=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many combinations of fault and stage ran, and how they ended."""
    for outcome in ("passed", "failed"):
        ran = [one for one in terminalreporter.stats.get(outcome, []) if "test_a_fault_at_a_stage[" in one.nodeid]
        if ran:
            terminalreporter.write_line(f"fault x stage: {len(ran)} combinations {outcome}")
