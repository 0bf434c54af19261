"""The fixtures of the fault suite, and the count of what ran."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.night import WAYS, Night, nights
from tests.harness import Databases, Etl

LOADS: list[str] = []
"""The published loads of the fixture's nights, by their kind."""


@pytest.fixture(scope="session")
def night() -> Iterator[Night]:
    """Two servers that may be killed, a shop, a first night."""
    with nights() as one:
        yield one
        LOADS.append(one.loads())


@pytest.fixture
def etl(databases: Databases) -> Etl:
    """``etl`` as a new interpreter, with the URLs of the two databases in its environment."""
    return Etl(databases.environment, fresh=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many combinations of fault, stage and way of publishing ran, and how they ended."""
    for loads in LOADS:
        terminalreporter.write_line(f"loads: {loads}")
    for outcome in ("passed", "failed"):
        ran = [one.nodeid for one in terminalreporter.stats.get(outcome, []) if "/faults/" in one.nodeid]
        for kind, marked in (("fault x stage", "::test_a_fault_at_a_stage["), ("other faults", "")):
            of_kind = [one for one in ran if marked in one and (marked or "::test_a_fault_at_a_stage[" not in one)]
            ways = Counter(next((way for way in WAYS if re.search(rf"[\[-]{way}[\]-]", one)), "any") for one in of_kind)
            if of_kind:
                each = ", ".join(f"{way} {number}" for way, number in sorted(ways.items()))
                terminalreporter.write_line(f"{kind}: {len(of_kind)} combinations {outcome} ({each})")
