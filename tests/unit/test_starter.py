"""The starter: which execution an event starts, and which events it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from statemachine.starter.app import BadInput, Start, handler, start_of
from statemachine.starter.night import Night, Run, night_of

BERLIN = ZoneInfo("Europe/Berlin")
LATE = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)  # half past midnight of the next day in Berlin


def test_the_execution_is_named_by_the_date_where_the_people_are() -> None:
    """The date of a moment depends on the time zone."""
    assert start_of({}, LATE, BERLIN) == Start("2026-11-22", {"run_date": "2026-11-22"})
    assert start_of({}, LATE, ZoneInfo("UTC")).name == "2026-11-21"


def test_a_schedules_own_time_decides_not_the_moment_of_a_late_delivery() -> None:
    """EventBridge may deliver an event twice or late; the name stays that of the night."""
    event = {"version": "0", "detail-type": "Scheduled Event", "time": "2026-11-20T23:30:00Z", "detail": {}}
    assert start_of(event, LATE, BERLIN).name == "2026-11-21"


def test_a_rerun_has_a_name_of_its_own() -> None:
    """The name has the date of the night and a suffix."""
    start = start_of({"run_date": "2026-11-20", "rerun": 2}, LATE, BERLIN)
    assert start == Start("2026-11-20-2", {"run_date": "2026-11-20"})


def test_shards_and_concurrency_are_passed_on() -> None:
    """``shards`` is a number for `etl plan`, or lists of tables, as JSON lists or in the syntax of TABLES."""
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
    """The starter starts nothing for invalid input."""
    with pytest.raises(BadInput, match=f"^{field}: ") as caught:
        start_of(event, LATE, BERLIN)
    assert "\n" not in str(caught.value)


SCHEDULED = datetime(2026, 11, 21, 23, 15, tzinfo=UTC)  # a quarter past midnight of the 22nd in Berlin


def _run(name: str, status: str, minutes: int = 1) -> Run:
    """A run that began so many minutes after the scheduled time."""
    return Run(name, f"arn:{name}", status, SCHEDULED + timedelta(minutes=minutes))


NIGHTS = {
    "published": ([_run("2026-11-22", "SUCCEEDED")], "2026-11-22", True),
    "goes on": ([_run("2026-11-22", "RUNNING")], "2026-11-22", False),
    "failed": ([_run("2026-11-22", "FAILED")], "2026-11-22", False),
    "published by a rerun": (
        [_run("2026-11-22-2", "SUCCEEDED", 90), _run("2026-11-22", "FAILED")],
        "2026-11-22-2",
        True,
    ),
    "published, and run again": (
        [_run("2026-11-22-2", "RUNNING", 90), _run("2026-11-22", "SUCCEEDED")],
        "2026-11-22",
        True,
    ),
    "the rerun hangs, too": (
        [_run("2026-11-22-2", "RUNNING", 90), _run("2026-11-22", "ABORTED")],
        "2026-11-22-2",
        False,
    ),
    "published by hand in the afternoon, so that the schedule found it there": (
        [_run("2026-11-22", "SUCCEEDED", -600)],
        "2026-11-22",
        True,
    ),
    "started in the console, under a name of its own": ([_run("by-hand", "SUCCEEDED", 30)], "by-hand", True),
    "only the night before": ([_run("2026-11-21", "SUCCEEDED", -1440)], "2026-11-22", False),
    "the night before succeeded late, before this one was due": (
        [_run("2026-11-21-2", "SUCCEEDED", -60)],
        "2026-11-22",
        False,
    ),
    "a day whose name begins alike": ([_run("2026-11-220", "SUCCEEDED", -1440)], "2026-11-22", False),
    "never started": ([], "2026-11-22", False),
}


@pytest.mark.parametrize("case", NIGHTS)
def test_a_night_is_published_when_a_run_of_its_date_or_since_is(case: str) -> None:
    """Reruns count, and so do runs by hand; runs of another night do not."""
    runs, run_id, published = NIGHTS[case]
    night = night_of("2026-11-22", SCHEDULED, runs)
    assert (night.run_id, night.published) == (run_id, published)


def test_why_a_night_is_not_published_is_one_sentence() -> None:
    """The sentence has the most relevant run, its status, and since when."""
    assert night_of("2026-11-22", SCHEDULED, []) == Night(
        "2026-11-22", None, False, "No run of 2026-11-22 was started."
    )
    runs = [_run("2026-11-22-2", "RUNNING", 90), _run("2026-11-22", "FAILED")]
    assert night_of("2026-11-22", SCHEDULED, runs).why == (
        "Run 2026-11-22-2, the last of 2 runs, is RUNNING; it began at 2026-11-22 00:45 UTC."
    )


def test_a_look_at_no_moment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is one line that names the field; Step Functions is not asked."""
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:eu-central-1:123456789012:stateMachine:nightly-etl")
    for moment in ("soon", None, 5):
        with pytest.raises(BadInput, match=r"^look: .* is no moment"):
            handler({"look": moment}, None)
