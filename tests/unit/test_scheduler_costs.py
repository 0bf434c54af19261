"""The costs in docs/scheduler.md are computed from what the code does; the text around them says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import scheduler_costs
from docs.scheduler_costs import PRICES, month

PAGE = (Path(__file__).parents[2] / "docs" / "scheduler.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_as_it_is_computed() -> None:
    """``make reference`` writes it."""
    assert scheduler_costs.main(check=True) == 0


def test_a_tenfold_of_jobs_costs_at_most_a_tenfold() -> None:
    """What does not depend on the jobs is the tick, the polls, the metrics and the alarms."""
    assert month(0).scheduler == pytest.approx(3.9, abs=0.5)
    assert month(100_000).scheduler < 10 * month(10_000).scheduler


def test_the_text_names_the_least_and_the_most() -> None:
    """Of the table's three rows, in whole dollars."""
    found = re.search(r"which costs (\d+) to (\d+) dollars a month", PAGE)
    assert found is not None
    assert [int(found[1]), int(found[2])] == [round(month(jobs).scheduler) for jobs in (100, 100_000)]


def test_each_price_has_its_page() -> None:
    """One of AWS's own."""
    assert all(price.source.startswith("https://aws.amazon.com/") for price in PRICES.values())
