"""The benchmark's comparison of rows: which buckets differ, and which kind of change a copy has missed."""

from __future__ import annotations

from benchmarks.missed import differing, kinds, told


def test_a_row_that_differs_is_deleted_changed_or_new() -> None:
    """Row 1 is the same; 2 has changed at the source; 3 and 4 are new there; 5 is gone there, but not here."""
    source = {"(1)": "11", "(2)": "22", "(3)": "33", "(4)": "44"}
    target = {"(1)": "11", "(2)": "20", "(5)": "55"}
    assert kinds(source, target) == {"deleted": 1, "changed": 1, "new": 2}


def test_equal_sides_miss_nothing_and_still_say_so() -> None:
    """The report tells a copy without a missed row from one that was not compared."""
    assert kinds({"(1)": "11"}, {"(1)": "11"}) == {"deleted": 0, "changed": 0, "new": 0}


def test_only_buckets_whose_sums_differ_are_looked_into() -> None:
    """Bucket 1 is the same, 2 has another sum, 3 and 4 are on one side alone."""
    assert differing({"1": "10", "2": "20", "3": "30"}, {"1": "10", "2": "21", "4": "40"}) == ["2", "3", "4"]
    assert differing({"1": "10"}, {"1": "10"}) == []


def test_missed_rows_are_told_by_kind() -> None:
    """Kinds without a missed row are left out."""
    assert told({"deleted": 6400, "changed": 0, "new": 3}) == "6,400 deleted, 3 new"
    assert told({"deleted": 0, "changed": 0, "new": 0}) == "0"
