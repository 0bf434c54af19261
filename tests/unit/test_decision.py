"""The decision whether a run swaps its tables or merges rows into them, as far as it is pure policy."""

from __future__ import annotations

import pytest

from etl.loads.decision import Decision, Prospect, are_tiny, are_too_small, decide
from etl.model.name import TargetName
from etl.model.way import RunWay

GB = 1_000_000_000


def prospect(name: str, share: float | None, gigabytes: float = 1.0, must_be_swapped: str = "") -> Prospect:
    return Prospect(TargetName("public", name), int(gigabytes * GB), 1_000_000, must_be_swapped, share)


def test_a_run_of_which_all_tables_are_loaded_whole_swaps_them() -> None:
    """There is nothing that a merge would spare."""
    assert decide([], 300) == decide([prospect("orders", None)], 300) == Decision(RunWay.SWAP)


def test_a_run_of_few_changes_merges() -> None:
    """Also if a small part of it has to be loaded whole."""
    assert decide([prospect("orders", 0.01)], 300) == Decision(RunWay.MERGE)
    assert decide([prospect("orders", 0.01), prospect("keyless", None, 0.1)], 300) == Decision(RunWay.MERGE)


def test_a_table_that_has_to_be_replaced_decides_for_all() -> None:
    """However small it is; the reason names it, and how many more there are."""
    tables = [prospect("orders", 0.0, 100), prospect("b", None, 0.0, "it has changed"), prospect("c", 0, 0, "so")]
    assert decide(tables, 300) == Decision(RunWay.SWAP, "public.b has to be replaced (and 1 more): it has changed")


@pytest.mark.parametrize(("share", "way"), [(0.034, RunWay.MERGE), (0.036, RunWay.SWAP)])
def test_many_changed_rows_make_a_merge_dearer_than_a_swap(share: float, way: RunWay) -> None:
    """A copied row costs less than an updated one."""
    assert decide([prospect("orders", share)], 3000).way == way


def test_the_reason_says_what_makes_a_merge_dearer() -> None:
    """Changed rows, tables that are loaded whole, or both."""
    assert decide([prospect("orders", 0.1)], 3000).reason == (
        "about 10 % of the rows have changed, so merging would cost about 2.3 times as much"
    )
    assert decide([prospect("orders", 0.0), prospect("keyless", None)], 300).reason == (
        "50 % of the bytes are in tables that are loaded whole, so merging would cost about 1.1 times as much"
    )


def test_a_merge_that_would_keep_the_publish_too_long_is_none() -> None:
    """The seconds of all tables count together."""
    tables = [prospect("orders", 0.025), prospect("items", 0.025)]
    assert decide(tables, 3).way == RunWay.MERGE
    assert decide(tables, 2) == Decision(RunWay.SWAP, "merges would take about 2 s, more than the 2 s of ETL_MERGE_MAX")


def test_of_many_tiny_tables_nobody_asks_which_can_be_merged() -> None:
    """The plans of their merges would take longer than their rows."""
    tiny = [prospect(f"t{number}", 0.0, 0.0001) for number in range(1000)]
    assert are_tiny(tiny) == "its 1,000 tables have 100 MB in all; to merge rows takes longer than a swap"
    assert are_tiny(tiny[:100]) == ""
    assert are_tiny([*tiny, prospect("big", 0.0, 5.0)]) == ""


def test_of_many_small_tables_nobody_asks_what_has_changed() -> None:
    """To count the rows of each takes longer than to copy them."""
    small = [prospect(f"t{number}", 0.0, 0.00001) for number in range(1000)]
    said = "1,000 tables have 10 MB in all; to look for changes takes longer than to copy all rows"
    assert are_too_small(small) == said
    assert are_too_small(small[:49]) == ""
    assert are_too_small([*small, prospect("big", 0.0, 0.1)]) == ""
