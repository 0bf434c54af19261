"""The time that the merges of a process's tables may take."""

from __future__ import annotations

from etl.loads.budget import Budget
from etl.model.name import TargetName

ORDERS, ITEMS = TargetName("public", "orders"), TargetName("public", "items")


def test_tables_share_the_time() -> None:
    """The one that comes when too little is left is loaded whole; a smaller one may still be merged."""
    budget = Budget(10.0)
    assert budget.refuses(ORDERS, 6_000, 1e-3) is None
    assert budget.refuses(ITEMS, 5_000, 1e-3) == (
        "5,000 rows have changed, whose merge would take about 5 s; with other tables that is more than the 10 s of"
        " ETL_MERGE_MAX"
    )
    assert budget.refuses(ITEMS, 4_000, 1e-3) is None


def test_a_load_that_is_tried_again_takes_its_time_once() -> None:
    """A connection may be lost after the time was taken."""
    budget = Budget(10.0)
    assert [budget.refuses(ORDERS, 9_000, 1e-3) for _ in range(3)] == [None] * 3


def test_a_table_that_is_loaded_whole_after_all_gives_its_time_back() -> None:
    """Another one may be merged in its place."""
    budget = Budget(10.0)
    assert budget.refuses(ORDERS, 9_000, 1e-3) is None
    budget.give_back(ORDERS)
    assert budget.refuses(ITEMS, 9_000, 1e-3) is None


def test_without_a_merge_that_tells_a_row_takes_the_usual_time() -> None:
    """20,000 rows a second."""
    assert Budget(1.0).refuses(ORDERS, 19_000, None) is None
    assert Budget(1.0).refuses(ORDERS, 21_000, None) is not None
