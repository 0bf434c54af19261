"""The first sentence of a night's page: each state as plainly as the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from etl.commands.accounts import Watched, WatchedLoad
from etl.commands.night import NightTable, Past, Steps
from etl.commands.sentence import Told
from etl.commands.usual import is_slower, usual
from etl.ledger.rows import RunRow
from etl.model import gate
from etl.model.gate import Count, Finding

BEGAN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
PAST = Past((), (), (), (), ())


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def run(status: str, took: float | None = 41, began: datetime = BEGAN, run_id: str = "tonight") -> RunRow:
    """A run of so many minutes, or one that has not ended."""
    ended = None if took is None else began + minutes(took)
    snapshot = began + timedelta(seconds=3)
    return RunRow(run_id=run_id, status=status, started_at=began, finished_at=ended, snapshot_at=snapshot)


def table(name: str, outcome: str = "published", *, slower: bool = False) -> NightTable:
    """A table of a night."""
    staged = BEGAN + minutes(30)
    return NightTable(
        table=name,
        shard=None,
        outcome=outcome,
        load="full",
        reason=None,
        rows=1,
        changed=None,
        bytes=1,
        started_at=BEGAN,
        finished_at=staged,
        seconds=1.0,
        steps=Steps(*[0.0] * 7),
        usual=None,
        is_slower=slower,
        slow_since=None,
        slow_before=None,
        slow_after=None,
        is_decisive=False,
        as_of=BEGAN - timedelta(days=1) + timedelta(seconds=3),
        drift=None,
        note=None,
        error=None,
        past=PAST,
    )


FEW = gate.said("tonight", [Finding(Count("public.a", "public", "a", 0), "rows_min = 1")], BEGAN + timedelta(hours=26))

YESTERDAY = run("published", 36, BEGAN - timedelta(days=1), "yesterday")


def told(of: RunRow, *tables: NightTable, watched: Watched | None = None, at: float = 31) -> Told:
    """What is told of a run. Each of the nights before took 36 minutes."""
    before = usual([36 * 60.0] * 5)
    some = tables or (table("public.a"), table("public.b"))
    return Told(of, [YESTERDAY], watched, before, some, BEGAN + minutes(at))


def looked(phase: str = "loading", status: str = "running") -> Watched:
    """How far a run is, after 31 minutes."""
    loading = (WatchedLoad("public.c", "rows", 60.0, 10, 100, 0.5),) if phase == "loading" else ()
    return Watched(
        run_id="tonight",
        status=status,
        at=BEGAN + minutes(31),
        phase=phase,
        started_at=BEGAN,
        finished_at=None,
        seconds=1860.0,
        tables=214,
        staged=180,
        waiting=33,
        failed=0,
        rows=1,
        bytes=1,
        loading=loading,
        failures=(),
        expected_seconds=600.0 if status == "running" else None,
        expected_at=BEGAN + minutes(41) if status == "running" else None,
        without_history=0,
        told_at=BEGAN + minutes(11),
        error=None,
    )


SENTENCES = {
    "a good night": (
        told(run("published")),
        "All 2 tables as of 02:00:03, published 02:41 (41 min 0 s); yesterday 02:36.",
    ),
    "some were slower": (
        told(run("published"), table("public.a", slower=True), table("public.b", slower=True)),
        "All 2 tables as of 02:00:03, published 02:41 (41 min 0 s); 2 were slower than usual; yesterday 02:36.",
    ),
    "the night was slow": (
        told(run("published", 130), table("public.a", slower=True)),
        "The table as of 02:00:03, published 04:10 (2 h 10 min, usually 36 min 0 s); 1 was slower than usual;"
        " yesterday 02:36.",
    ),
    "a person let it pass": (
        told(replace(run("published"), passed_by="alice")),
        "All 2 tables as of 02:00:03, published 02:41 (41 min 0 s); let pass by alice; yesterday 02:36.",
    ),
    "one table failed": (
        told(run("failed", 17), table("public.a", "failed"), table("public.b", "staged, dropped")),
        "Failed at 02:17 after 17 min 0 s: public.a failed, of 2 tables; readers still see 27 Nov 02:00:03.",
    ),
    "several tables failed": (
        told(run("failed", 17), table("public.a", "failed"), table("public.b", "failed")),
        "Failed at 02:17 after 17 min 0 s: public.a and public.b failed, of 2 tables; readers still see"
        " 27 Nov 02:00:03.",
    ),
    "many tables failed": (
        told(run("failed", 17), *(table(f"public.{name}", "failed") for name in "abcd")),
        "Failed at 02:17 after 17 min 0 s: 4 of 4 tables failed, among them public.a; readers still see"
        " 27 Nov 02:00:03.",
    ),
    "one table was copied by hand in between": (
        told(run("failed", 17), table("public.a", "failed"), replace(table("public.b"), as_of=BEGAN - minutes(60))),
        "Failed at 02:17 after 17 min 0 s: public.a failed, of 2 tables; readers still see 27 Nov 02:00:03 to"
        " 01:00:00.",
    ),
    "readers see what is a year old": (
        told(run("failed", 17), replace(table("public.a", "failed"), as_of=BEGAN - timedelta(days=366))),
        "Failed at 02:17 after 17 min 0 s: public.a failed, of 1 table; readers still see 27 Nov 2025 02:00:00.",
    ),
    "it failed before it knew its tables": (
        replace(told(replace(run("failed", 1), error="no route")), tables=[]),
        "Failed at 02:01 after 1 min 0 s: no route; readers still see 27 Nov 02:00:03.",
    ),
    "it failed, and a later run was published since": (
        replace(told(run("failed", 17), table("public.a", "failed")), is_superseded=True),
        "Failed at 02:17 after 17 min 0 s: public.a failed, of 1 table; readers saw 27 Nov 02:00:03 then.",
    ),
    "the first night failed, and a later run was published since": (
        replace(
            told(run("failed", 17), replace(table("public.a", "failed"), as_of=None)), before=[], is_superseded=True
        ),
        "Failed at 02:17 after 17 min 0 s: public.a failed, of 1 table; no run of these tables had been published, so"
        " readers had none.",
    ),
    "it has no table": (
        replace(told(run("published")), tables=[]),
        "No table, published 02:41 (41 min 0 s); yesterday 02:36.",
    ),
    "no table failed": (
        told(replace(run("failed", 1), error="the source cannot be reached; check ETL_OPERATIONAL_URL.")),
        "Failed at 02:01 after 1 min 0 s: the source cannot be reached; check ETL_OPERATIONAL_URL; readers still see"
        " 27 Nov 02:00:03.",
    ),
    "interrupted": (
        told(replace(run("interrupted", 5), error="stopped by SIGTERM")),
        "Interrupted at 02:05 after 5 min 0 s: stopped by SIGTERM; readers still see 27 Nov 02:00:03.",
    ),
    "stopped by the gate": (
        told(replace(run("stopped", 30), error=FEW, kept_until=BEGAN + timedelta(hours=26))),
        "Stopped before the publish at 02:30 after 30 min 0 s, because 1 table has too few rows: public.a has 0 rows"
        " now (rows_min = 1); readers still see 27 Nov 02:00:03; it can be let pass until 29 Nov 04:00.",
    ),
    "still running": (
        told(run("running", None), watched=looked()),
        "Still running after 31 min 0 s; 180 of 214 tables staged, 1 loading, 33 waiting; expected to end at 02:41;"
        " readers still see 27 Nov 02:00:03.",
    ),
    "late": (
        told(run("running", None), watched=looked(), at=72),
        "Late: still running after 1 h 12 min, usually done after 36 min 0 s; 180 of 214 tables staged, 1 loading,"
        " 33 waiting; expected to end at 02:41; readers still see 27 Nov 02:00:03.",
    ),
    "publishing": (
        told(run("running", None), watched=looked("publishing")),
        "Still running after 31 min 0 s; all 214 tables are staged, and the publish goes on; expected to end at 02:41;"
        " readers still see 27 Nov 02:00:03.",
    ),
    "planned": (
        told(run("running", None), watched=looked("planned")),
        "Planned at 02:00 with 2 tables, and nothing of it has begun; readers still see 27 Nov 02:00:03.",
    ),
    "waits for its publish": (
        told(run("running", None), watched=looked("staged")),
        "All 2 tables are staged since 02:30 and wait for `etl publish tonight`; readers still see 27 Nov 02:00:03.",
    ),
    "dead": (
        told(run("running", None), table("public.c", "loading"), watched=looked("ended", "dead")),
        "Dead: the run began at 02:00, and its processes are gone, and the last sign of it was at 02:11; 180 of 214"
        " tables staged, 1 cut off, 33 waiting; readers still see 27 Nov 02:00:03; run again, or `etl abort tonight`.",
    ),
    "a status of a later version": (
        told(run("postponed", 1)),
        "The run is postponed; readers still see 27 Nov 02:00:03.",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_night_is_told_in_one_sentence(name: str) -> None:
    """As a person would say it who has looked."""
    of, expected = SENTENCES[name]
    assert str(of) == expected


def test_an_error_is_cut_in_the_sentence() -> None:
    """The page has all of it below."""
    of = told(replace(run("failed", 1), error="x" * 5000))
    assert len(str(of)) < 400
    assert "…" in str(of)


def test_without_a_night_before_none_is_named() -> None:
    """Nor does a run that was never published say what readers see."""
    first = replace(told(run("published")), before=[])
    assert str(first).endswith("; no night before to compare with.")
    failed = replace(told(run("failed"), replace(table("public.a"), as_of=None)), before=[])
    assert str(failed).endswith("; no run of these tables was published yet, so readers have none.")


@pytest.mark.parametrize(
    ("seconds", "is_it"), [(9.0, False), (10.4, False), (14.0, False), (14.9, False), (16.0, True), (60.0, True)]
)
def test_slower_than_usual_is_much_slower_than_nearly_all_nights(seconds: float, is_it: bool) -> None:
    """Half as long again as the median, by a second at least, and longer than nine of ten nights."""
    assert is_slower(seconds, usual([9.5, 10.0, 10.0, 10.0, 10.5])) is is_it
    assert not is_slower(seconds, usual([10.0, 10.0]))
