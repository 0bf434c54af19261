"""The starter: which execution an event starts, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from statemachine.starter.app import BadInput, Start, start_of

BERLIN = ZoneInfo("Europe/Berlin")
LATE = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)  # half past midnight in Berlin, the next day


def test_the_execution_is_named_by_the_date_where_the_people_are() -> None:
    """The same moment is another day in another zone."""
    assert start_of({}, LATE, BERLIN) == Start("2026-11-22", {"run_date": "2026-11-22"})
    assert start_of({}, LATE, ZoneInfo("UTC")).name == "2026-11-21"


def test_a_schedules_own_time_decides_not_the_moment_of_a_late_delivery() -> None:
    """EventBridge delivers at least once, and may be late: the name stays the night's."""
    event = {"version": "0", "detail-type": "Scheduled Event", "time": "2026-11-20T23:30:00Z", "detail": {}}
    assert start_of(event, LATE, BERLIN).name == "2026-11-21"


def test_a_rerun_has_a_name_of_its_own() -> None:
    """Its date stays that of the night."""
    start = start_of({"run_date": "2026-11-20", "rerun": 2}, LATE, BERLIN)
    assert start == Start("2026-11-20-2", {"run_date": "2026-11-20"})


def test_shards_and_concurrency_are_passed_on() -> None:
    """A number to plan, or lists by hand, as lists or as TABLES has them."""
    for shards in (5, [["orders"], ["customers", "items"]], ["orders,items", "customers"]):
        assert start_of({"shards": shards, "max_concurrency": 0}, LATE, BERLIN).input == {
            "run_date": "2026-11-22",
            "shards": shards,
            "max_concurrency": 0,
        }


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"run_date": "22.11.2026"}, "run_date"),
        ({"run_date": "2026-02-30"}, "run_date"),
        ({"run_date": 20261122}, "run_date"),
        ({"rerun": "a b"}, "rerun"),
        ({"rerun": ["2"]}, "rerun"),
        ({"rerun": "x" * 41}, "rerun"),
        ({"shards": 0}, "shards"),
        ({"shards": True}, "shards"),
        ({"shards": []}, "shards"),
        ({"shards": [[]]}, "shards"),
        ({"shards": [["orders", ""]]}, "shards"),
        ({"shards": "5"}, "shards"),
        ({"max_concurrency": -1}, "max_concurrency"),
        ({"max_concurrency": "3"}, "max_concurrency"),
        ({"shard": 5}, "shard"),
        ({"detail-type": "Scheduled Event"}, "time"),
        ({"detail-type": "Scheduled Event", "time": "soon"}, "time"),
        ([], "the event"),
        ("2026-11-22", "the event"),
    ],
)
def test_bad_input_is_one_line_that_names_the_field(event: object, field: str) -> None:
    """Nothing is started for what nobody can have meant."""
    with pytest.raises(BadInput, match=f"^{field}: ") as caught:
        start_of(event, LATE, BERLIN)
    assert "\n" not in str(caught.value)
