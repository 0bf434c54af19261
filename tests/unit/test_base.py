"""The base of a delta: what the ledger keeps of it, and when it is not one any more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from etl.model.base import FORMAT, Base, FullEvery, History, Live, Seen

HISTORY = History("7", "5 shop", "00000001", "1", "10.0.0.1 5432", False, "0/1")

SEEN = Seen(2**40, 2**40 + 9, (2**40, 2**40 + 3))

BASE = Base(HISTORY, SEEN, 500, "digest", 3, (17, 18), ((16400, "columns"), (2**32 - 1, "others")))


def test_the_ledger_gives_back_what_a_base_was() -> None:
    """Ids of 64 bits, too; and the live table's state."""
    assert Base.of(json.loads(BASE.dumps())) == BASE
    live = Live(16384, "7 5", "columns", 2**33, (4, 5))
    assert Live.of(json.loads(live.dumps())) == live


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"format": FORMAT},
        {"format": FORMAT, "more": 1},
        *(json.loads(replace(BASE, format=other).dumps()) for other in (FORMAT - 1, FORMAT + 1)),
    ],
)
def test_a_base_of_another_version_is_none(document: dict[str, Any] | None) -> None:
    """A later version may mean something else by it, and an earlier one knew less: then the load is a full one."""
    assert Base.of(document) is None


@pytest.mark.parametrize(
    ("snapshot", "is_before"),
    [
        ("100:109:100,103", False),
        ("100:109:100", False),
        ("103:110:103", False),
        ("104:104:", True),
        ("100:120:100,103,104", True),
        ("100:120:100,103,109,115", False),
        ("100:108:100,103", True),
        ("99:109:99,100,103", True),
    ],
)
def test_a_snapshot_is_before_another_that_has_seen_an_end_that_it_has_not(snapshot: str, is_before: bool) -> None:
    """Also if a transaction that has not ended holds the xmin of both back."""
    assert Seen.parse(snapshot).is_before(Seen(100, 109, (100, 103))) is is_before


@pytest.mark.parametrize(
    ("field", "value", "other", "doubt"),
    [
        ("system", "8", "another server", "None"),
        ("database", "6 shop", "another database", "None"),
        ("timeline", "00000002", "None", "another timeline"),
        ("started", "2", "None", "restarted"),
        ("address", "10.0.0.2 5432", "None", "another node"),
        ("in_recovery", True, "None", "a primary, or a standby"),
        ("written", "0/2", "None", "None"),
    ],
)
def test_each_part_of_a_history_tells_another_one_by_itself(field: str, value: Any, other: str, doubt: str) -> None:
    """Another database is certain, other differences are doubts; only the end of the WAL differs within a history."""
    now = replace(HISTORY, **{field: value})
    assert other in str(HISTORY.other_than(now))
    assert doubt in str(HISTORY.doubt(now))


@pytest.mark.parametrize("text", ["30", 30, "0 nights", "-1 nights", "3 days", "", "30 nights or so", None])
def test_a_wrong_number_of_nights_is_named_with_the_remedy(text: object) -> None:
    """A number alone could be days, or hours."""
    with pytest.raises(ValueError, match='write a number of nights such as "30 nights", or "never"'):
        FullEvery.parse(text)


def test_nights_are_counted_from_the_last_full_load() -> None:
    """``1 night`` is every night; ``never`` is never due."""
    assert [FullEvery.parse(f"{number} nights").is_due(BASE) for number in (4, 5)] == [True, False]
    assert FullEvery.parse("1 night").is_due(replace(BASE, nights=0))
    assert not FullEvery.parse("never").is_due(replace(BASE, nights=9999))


def test_rows_are_not_counted_for_nothing_each_night() -> None:
    """After five nights for nothing the table is loaded whole at once, and counted again in the thirtieth."""
    told = [bool(replace(BASE, in_vain=nights).hopeless) for nights in range(62)]
    assert [night for night, hopeless in enumerate(told) if not hopeless] == [0, 1, 2, 3, 4, 30, 60]
    assert replace(BASE, in_vain=28).hopeless == (
        "its changes could not be used in 28 nights; they are counted again in 2"
    )
