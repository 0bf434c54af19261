"""Changes of a table's columns, described in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model.drift import Drift, Named, between

OLD = [("id", "int"), ("note", "text"), ("at", "date")]

columns = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["int", "text"])), unique_by=lambda column: column[0]
)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, ""),
        ([*OLD, ("new", "int")], "added new"),
        ([("new", "int"), *OLD], "added new"),
        (OLD[:1], "dropped note, at"),
        ([("id", "bigint"), *OLD[1:]], "retyped id (int to bigint)"),
        ([OLD[0], ("remark", "text"), OLD[2]], "renamed note to remark"),
        ([OLD[0], ("remark", "varchar"), OLD[2]], "added remark; dropped note"),
        ([OLD[1], OLD[0], OLD[2]], "reordered"),
        ([("at", "time"), ("id", "int"), ("x", "uuid")], "added x; dropped note; retyped at (date to time); reordered"),
        ([], "dropped id, note, at"),
    ],
)
def test_each_change_is_said(new: list[Named], said: str) -> None:
    """A removed column and a new one of the same type at its place count as a rename; new columns reorder nothing."""
    drift = between(OLD, new)
    assert str(drift) == said
    assert bool(drift) == bool(said)


@given(columns, columns)
def test_the_changes_lead_from_the_old_columns_to_the_new(old: list[Named], new: list[Named]) -> None:
    """Equal tables have no changes, and no column is missing or named twice."""
    drift = between(old, new)
    assert (drift == Drift()) == (old == new)
    renamed = dict(text.split(" to ") for text in drift.renamed)
    names = {renamed.get(name, name) for name, _ in old if name not in drift.dropped} | set(drift.added)
    assert names == {name for name, _ in new}
    assert not set(drift.added) & {*drift.dropped, *renamed, *renamed.values()}
