"""What a tick does with a job that is due, and what becomes of due times that nothing has ticked for."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import chain, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cron import Schedule
from scheduler.due import COUNTED, GRACE, Decision, Waiting, decide, horizon, is_overtaken, is_too_late
from scheduler.job import CatchUp

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def waiting(
    cron: str, next_run_at: datetime, catch_up: CatchUp = CatchUp.ONCE, window: timedelta = 6 * HOUR
) -> Waiting:
    """A job as the index has it."""
    return Waiting("acme", Schedule.of(cron), next_run_at, catch_up, window)


def decided(job: Waiting, now: datetime) -> Decision:
    """What a tick at this moment decides."""
    return decide(job, now, horizon(now))


def test_a_tick_sends_what_is_due_up_to_the_end_of_the_next_minute() -> None:
    """The next tick may come late in its minute."""
    assert horizon(NOON + timedelta(seconds=5)) == NOON + timedelta(minutes=2, microseconds=-1)
    done = decided(waiting("* * * * *", NOON + MINUTE), NOON + timedelta(seconds=5))
    assert done == Decision((NOON + MINUTE,), 0, NOON + 2 * MINUTE)
    assert decided(waiting("0 13 * * *", NOON + MINUTE), NOON).next_run_at == NOON + HOUR


def test_a_due_time_of_a_lost_tick_or_two_is_not_missed() -> None:
    """An every-minute job runs for each of them."""
    done = decided(waiting("* * * * *", NOON - 2 * MINUTE), NOON)
    assert done.sent == tuple(NOON + n * MINUTE for n in (-2, -1, 0, 1))
    assert done.missed == 0


def test_after_an_outage_the_last_missed_due_time_is_sent_once() -> None:
    """The others are counted."""
    done = decided(waiting("0 * * * *", NOON - 5 * HOUR), NOON + 20 * MINUTE)
    assert (done.sent, done.missed, done.next_run_at) == ((NOON,), 5, NOON + HOUR)


def test_a_due_time_of_now_is_started_instead_of_a_missed_one() -> None:
    """One start does for both."""
    done = decided(waiting("0 * * * *", NOON - 5 * HOUR), NOON + MINUTE)
    assert (done.sent, done.missed) == ((NOON,), 5)


def test_a_job_that_does_not_catch_up_misses_all() -> None:
    """And goes on at its next due time."""
    done = decided(waiting("0 * * * *", NOON - 5 * HOUR, CatchUp.NONE), NOON + 20 * MINUTE)
    assert done == Decision((), 6, NOON + HOUR, tuple(NOON - n * HOUR for n in range(5, -1, -1)))


def test_what_is_older_than_the_window_is_missed() -> None:
    """A nightly copy at noon, say."""
    night = NOON.replace(hour=2)
    assert decided(waiting("0 2 * * *", night, window=11 * HOUR), NOON).sent == (night,)
    assert decided(waiting("0 2 * * *", night, window=9 * HOUR), NOON) == Decision(
        (), 1, night + timedelta(days=1), (night,)
    )


def test_a_due_time_that_is_delivered_late_is_missed_if_a_later_one_is_due() -> None:
    """The queue has kept it while no runner was there. A nightly one is started late, within its window."""
    minutes, nightly = Schedule.of("* * * * *"), Schedule.of("0 12 * * *")
    assert is_overtaken(minutes, NOON, NOON + GRACE + MINUTE)
    assert not is_overtaken(minutes, NOON, NOON + GRACE)
    assert not is_overtaken(nightly, NOON, NOON + 5 * HOUR)


def test_a_week_of_minutes_is_counted_up_to_a_limit() -> None:
    """A tick has no time to count a week for each of thousands of jobs."""
    done = decided(waiting("* * * * *", NOON - timedelta(days=7)), NOON)
    assert (done.missed, done.sent[-1]) == (COUNTED + 6 * 60 - 3, NOON + MINUTE)


def test_a_schedule_that_ends_is_due_no_more() -> None:
    """cronsim gives up after fifty years; the job leaves the index."""
    assert decided(waiting("0 0 29 2 *", datetime(2096, 2, 29, tzinfo=UTC)), datetime(2096, 2, 29, tzinfo=UTC)).sent


def test_a_due_time_may_wait_as_long_as_the_window_and_no_shorter_than_the_grace() -> None:
    """A window of nothing is for jobs that must start in time."""
    assert not is_too_late(NOON, NOON + 6 * HOUR, 6 * HOUR)
    assert is_too_late(NOON, NOON + 6 * HOUR + MINUTE, 6 * HOUR)
    assert not is_too_late(NOON, NOON + GRACE, timedelta())


@settings(max_examples=200, deadline=None)
@given(
    cron=st.sampled_from(["* * * * *", "*/7 * * * *", "5,35 * * * *", "0 */3 * * *", "30 2 * * *"]),
    gaps=st.lists(st.floats(0.2, 500), min_size=1, max_size=40),
    catch_up=st.sampled_from(CatchUp),
    window=st.integers(0, 10),
)
def test_each_due_time_is_sent_or_missed_and_none_is_both(
    cron: str, gaps: list[float], catch_up: CatchUp, window: int
) -> None:
    """Whenever the ticks come."""
    job = waiting(cron, Schedule.of(cron).next(NOON) or NOON, catch_up, window * HOUR)
    first, now, sent, missed = job.next_run_at, NOON, list[datetime](), 0
    for gap in gaps:
        now += gap * MINUTE
        if job.next_run_at <= horizon(now):
            done = decided(job, now)
            assert done.next_run_at is not None
            assert catch_up is not CatchUp.NONE or all(due >= now - GRACE for due in done.sent)
            assert sum(due < now - GRACE for due in done.sent) <= 1
            sent, missed = [*sent, *done.sent], missed + done.missed
            job = waiting(cron, done.next_run_at, catch_up, window * HOUR)
    due = list(takewhile(lambda moment: moment < job.next_run_at, chain([first], Schedule.of(cron).after(first))))
    assert sent == sorted(set(sent))
    assert set(sent) <= set(due)
    assert len(sent) + missed == len(due) or missed >= COUNTED


def test_a_week_of_100_000_jobs_with_a_change_of_the_clocks(capsys: pytest.CaptureFixture[str]) -> None:
    """Each job's every due time is sent, at most two minutes before it is due; nothing is missed, nothing twice."""
    seed = 21
    chosen = random.Random(seed)
    zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"]
    crons = [f"{minute} {hour} * * *" for minute in range(0, 60, 5) for hour in range(24)]
    start = datetime(2027, 3, 26, tzinfo=UTC)  # Berlin's clocks are put forward on the 28th
    began, queue, sent = time.perf_counter(), defaultdict[datetime, list[Waiting]](list), 0
    for number in range(100_000):
        cron = "17 * * * *" if number % 100 == 0 else chosen.choice(crons)
        schedule = Schedule(cron, chosen.choice(zones))
        next_run = schedule.next(start)
        assert next_run is not None
        queue[next_run].append(Waiting(f"job{number}", schedule, next_run, CatchUp.ONCE, HOUR))
    for minute in range(7 * 24 * 60):
        now = start + minute * MINUTE
        for due in (now, now + MINUTE):
            for job in queue.pop(due, []):
                done = decided(job, now)
                assert (done.sent, done.missed) == ((job.next_run_at,), 0)
                assert done.next_run_at is not None
                sent += 1
                queue[done.next_run_at].append(Waiting(job.id, job.schedule, done.next_run_at, job.catch_up, HOUR))
    seconds = time.perf_counter() - began
    with capsys.disabled():
        print(f"\n100,000 jobs, a week: {sent:,} due times in {seconds:.1f} s (seed {seed})")
    nightly, hourly = 99_000 * 7, 1_000 * 7 * 24
    assert nightly + hourly - 99_000 * 2 < sent <= nightly + hourly + 2_000
    assert {job.next_run_at for jobs in queue.values() for job in jobs} == set(queue)
    berlin = Schedule("30 2 * * *", "Europe/Berlin").next(datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert berlin == datetime(2027, 3, 28, 3, tzinfo=ZoneInfo("Europe/Berlin"))
