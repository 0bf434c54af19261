"""When a run will have finished: the rule by itself, and held against nights that were recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from etl.commands.remaining import NIGHTS, Left, Night, Now, Past, left

RECORDED = Path(__file__).parents[1] / "recorded"


def night(began: float, *loads: tuple[str, float, float], publish: float = 2.0, way: str | None = "swap") -> Night:
    """A night; each load is a table, and when it began and ended, in seconds since the night began."""
    pasts = tuple(Past(table, None, "full", began + start, began + end) for table, start, end in loads)
    return Night(way, began, max(past.ended for past in pasts) + publish, pasts)


TWO_AT_ONCE = [night(at, ("a", 0, 10), ("b", 0, 4), ("c", 4, 8)) for at in (3000.0, 2000.0, 1000.0)]
"""Three nights, the newest first, of three tables of which two were loaded at once."""


def test_a_night_like_the_last_ones_takes_as_long() -> None:
    """At its beginning, in its middle, and while it is published."""
    waiting = [Now("a", None), Now("b", None), Now("c", None)]
    assert left(waiting, TWO_AT_ONCE, 9000.0) == Left(10.0, 2.0)
    middle = [Now("a", None, 9000.0), Now("b", None, 9000.0, 9004.0), Now("c", None, 9004.0)]
    assert left(middle, TWO_AT_ONCE, 9005.0) == Left(5.0, 2.0)
    ended = [Now("a", None, 9000.0, 9010.0), Now("b", None, 9000.0, 9004.0), Now("c", None, 9004.0, 9008.0)]
    assert left(ended, TWO_AT_ONCE, 9011.0) == Left(0.0, 1.0)


def test_a_load_that_is_overdue_takes_a_little_more() -> None:
    """It is not foretold to end at once, for ever."""
    told = left([Now("a", None, 9000.0), Now("b", None, 9000.0, 9004.0)], TWO_AT_ONCE, 9030.0)
    assert told is not None
    assert told.loads > 1.0


def test_tables_that_end_late_make_the_others_late() -> None:
    """On a slow night, all that is still to do takes longer."""
    told = left([Now("a", None, 9000.0), Now("b", None, 9000.0, 9008.0), Now("c", None)], TWO_AT_ONCE, 9008.0)
    usual = left([Now("a", None, 9000.0), Now("b", None, 9000.0, 9004.0), Now("c", None)], TWO_AT_ONCE, 9004.0)
    assert told is not None
    assert usual is not None
    assert told.loads > usual.loads + 2


def test_rows_that_the_publish_has_to_merge_take_their_time() -> None:
    """As long for each row as in the nights before."""
    past = Past("a", None, "delta", 1000.0, 1001.0, merged=1000, merge_seconds=4.0)
    nights = [Night("merge", 1000.0, 1006.0, (past,))]
    told = left([Now("a", None, 9000.0, 9001.0, merged=3000)], nights, 9001.0, "merge")
    assert told == Left(0.0, 13.0)


def test_nothing_is_foretold_of_a_first_night() -> None:
    """Nor if most of its tables are new; a single new one is taken for a usual one, and counted."""
    assert left([Now("a", None)], [], 9000.0) is None
    assert left([Now("x", None), Now("y", None), Now("a", None)], TWO_AT_ONCE, 9000.0) is None
    told = left([Now("a", None), Now("b", None), Now("x", None)], TWO_AT_ONCE, 9000.0)
    assert told is not None
    assert told.unknown == 1


def test_shards_are_loaded_side_by_side() -> None:
    """The longest of them counts, each with as many loads at once as it had."""
    pasts = tuple(Past(f"{shard}{n}", shard, "full", 5.0 * n, 5.0 * n + 5.0) for shard in "ab" for n in range(3))
    loads = [Now(past.table, past.shard) for past in pasts]
    assert left(loads, [Night("swap", 0.0, 16.0, pasts)], 100.0) == Left(15.0, 1.0)


def recorded(name: str) -> list[Night]:
    """The nights of a file, the oldest first; kinds are those that are known before a load."""
    nights = []
    for one in json.loads((RECORDED / f"nights_{name}.json").read_text()):
        loads = tuple(
            Past(table, None, "full" if load == "full" else "delta", began, ended, changed or 0, merge or 0.0)
            for table, load, began, ended, changed, merge in one["loads"]
        )
        nights.append(Night(one["way"], one["began"], one["ended"], loads))
    return nights


def seen(of: Night, at: float) -> list[Now]:
    """A night's loads as somebody sees them who looks at this time."""
    return [
        Now(
            load.table,
            None,
            load.began if load.began <= at else None,
            load.ended if load.ended <= at else None,
            load.merged if load.ended <= at else None,
        )
        for load in of.loads
    ]


def errors(nights: Sequence[Night], part: float) -> list[float]:
    """How far each forecast is from the night's end, as a part of the night; made when this part of it is over."""
    found = []
    for number in range(2, len(nights)):
        tonight, earlier = nights[number], nights[max(number - NIGHTS, 0) : number][::-1]
        at = tonight.began + part * (tonight.ended - tonight.began)
        told = left(seen(tonight, at), earlier, at, tonight.way)
        assert told is not None
        found.append((at + told.seconds - tonight.ended) / (tonight.ended - tonight.began))
    return found


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("full", (0.15, 0.15, 0.12, 0.08, 0.05)), ("changes", (0.35, 0.35, 0.35, 0.25, 0.10))],
)
def test_the_forecast_of_recorded_nights(name: str, bounds: Sequence[float]) -> None:
    """Real nights of 16 tables on two busy cores: whole loads, and changes of random size (tests/recorded/README.md).

    Prints the error (``pytest -s``). Its median has a bound, which is a little above what was measured.
    """
    nights = recorded(name)
    for part, bound in zip((0.0, 0.25, 0.5, 0.75, 0.9), bounds, strict=True):
        found = errors(nights, part)
        middle, worst = median(map(abs, found)), max(map(abs, found))
        print(f"{name}: after {part:.0%} of a night, the forecast is off by {middle:.0%} of it (median of", end=" ")
        print(f"{len(found)} nights; {worst:.0%} at most)")
        assert middle <= bound
