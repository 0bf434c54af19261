"""A night as data, from rows of the ledger: what each figure of it says where the rows are odd."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from etl.commands import portrait
from etl.commands.accounts import Watched
from etl.commands.night import Night, NightTable
from etl.commands.portrait import Seen
from etl.ledger.looks import PastLoadRow
from etl.ledger.rows import LoadRow, RunRow

BEGAN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)

ENDED = 1800.0


def at(seconds: float) -> datetime:
    """So many seconds after tonight's beginning."""
    return BEGAN + timedelta(seconds=seconds)


def run(status: str = "published", *, days_ago: int = 0, seconds: float = ENDED) -> RunRow:
    """Tonight's run, or one of so many days ago."""
    began = BEGAN - timedelta(days=days_ago)
    return RunRow(
        run_id=f"night-{days_ago}", status=status, started_at=began, finished_at=began + timedelta(seconds=seconds)
    )


def load(name: str, began: float = 10, ended: float | None = 40, status: str = "published") -> LoadRow:
    """A load of tonight; its times are seconds since the run's beginning."""
    finished = None if ended is None else at(ended)
    return LoadRow(run_id="night-0", table_name=name, status=status, started_at=at(began), finished_at=finished)


def given_up(name: str, told: float | None) -> LoadRow:
    """A load that was not staged when its run ended, and when it last told of itself."""
    lost = replace(load(name, 100 if told else 0, None, "failed"), given_up=True, error="aborted")
    return replace(lost, step="rows", rows_so_far=5, bytes_so_far=50, told_at=at(told)) if told else lost


def night(of: RunRow, *loads: LoadRow, before: tuple[RunRow, ...] = (), watched: Watched | None = None) -> Night:
    pasts = [
        PastLoadRow(one.run_id, each.table_name, "published", "full", 1, 1, None, None, 30.0, has_failed=False)
        for one in before
        for each in loads
    ]
    return portrait.night(Seen(of, loads, before, pasts, {}, watched, None, None, at(7200)))


def table(of: Night, name: str) -> NightTable:
    (found,) = (one for one in of.tables if one.table == name)
    return found


def test_a_load_that_ended_with_its_run_is_told_until_its_last_sign() -> None:
    """It is what the night waited for: a run that was aborted must not hide the table that hung."""
    of = night(run("failed"), given_up("public.hung", 1600), load("public.a", status="staged"))
    hung = table(of, "public.hung")
    assert (hung.outcome, hung.seconds, hung.rows, hung.bytes) == ("given up", 1500.0, 5, 50)
    assert (hung.steps.waiting, hung.steps.copy, hung.finished_at) == (100.0, 1500.0, None)
    assert of.tables[0] == hung, "the longest comes first"


def test_a_load_that_never_told_of_itself_has_no_beginning() -> None:
    """The ledger has its run's beginning in that place."""
    lost = table(night(run("failed"), given_up("public.a", None)), "public.a")
    assert (lost.outcome, lost.started_at, lost.seconds, lost.steps.waiting) == ("given up", None, None, 0.0)


def test_no_table_decided_the_end_where_a_time_is_unknown() -> None:
    """Rows of older versions have none."""
    of = night(run(), load("public.a", ended=None), load("public.b", ended=None))
    assert [one.is_decisive for one in of.tables] == [False, False]
    of = night(run(), load("public.a"), load("public.b", ended=50))
    assert [one.table for one in of.tables if one.is_decisive] == ["public.b"]


def test_the_last_table_is_staged_when_all_are() -> None:
    """Of a night that failed, the others were."""
    assert night(run(), load("public.a"), load("public.b", ended=50)).staged_at == at(50)
    failed = replace(load("public.b", status="failed"), given_up=False)
    assert night(run("failed"), load("public.a", status="staged"), failed).staged_at is None


def test_a_clock_that_went_back_tells_no_duration() -> None:
    """Neither of a load nor of a run: it is no short one."""
    back = tuple(run(days_ago=n, seconds=-60) for n in (1, 2, 3))
    of = night(run(), load("public.a", began=40, ended=10), before=back)
    a = table(of, "public.a")
    assert (a.seconds, a.is_slower, of.usual) == (None, False, None)
    assert table(night(run(), load("public.a", began=40, ended=40)), "public.a").seconds == 0.0
    assert [one.seconds for one in of.before] == [None, None, None]
    assert night(run(seconds=-60), load("public.a")).tonight.seconds is None


def test_a_slow_table_is_told_by_what_is_usual_since_and_not_by_tonight() -> None:
    """Tonight no row had changed: the table was fast, and is slow all the same."""
    nights = tuple(run(days_ago=n) for n in range(1, 8))
    took = dict(zip(nights, (410, 400, 420, 30, 31, 32, 30), strict=True))
    tonight = load("public.a", ended=15)
    pasts = [
        PastLoadRow(one.run_id, "public.a", "published", "delta", 1, 1, 1, 0, float(seconds), has_failed=False)
        for one, seconds in took.items()
    ]
    of = portrait.night(Seen(run(), [tonight], nights, pasts, {}, None, None, None, at(7200)))
    a = table(of, "public.a")
    assert (a.seconds, a.slow_since, a.slow_before, a.slow_after) == (5.0, "night-3", 30.5, 405.0)


DEAD = Watched("night-0", "dead", at(0), "ended", BEGAN, None, 1.0, 1, 0, 1, 0, 0, 0, (), (), None, None, 0, None, None)


def test_a_dead_night_is_not_among_those_that_go_on() -> None:
    """Its status in the ledger is still running."""
    of = night(replace(run("running"), finished_at=None), load("public.a", status="loading"), watched=DEAD)
    assert (of.state, of.tonight.status, of.tonight.is_bad) == ("dead", "dead", True)
