"""When a silent session is dead, and when it works."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat

import pytest

from etl.model import limits
from etl.sessions.watch import Answer, Silence, Watch, answered, dead

WORKS, WAITS, GONE, SILENT, UNKNOWN = Answer.WORKS, Answer.WAITS, Answer.GONE, Answer.SILENT, Answer.UNKNOWN


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([], None),
        ([WAITS], None),
        ([WAITS, WAITS], WAITS),
        ([SILENT, GONE], GONE),
        ([WAITS, WORKS, WAITS], None),
        ([GONE, UNKNOWN], None),
        ([WORKS, SILENT, SILENT], SILENT),
    ],
)
def test_two_answers_in_a_row_prove_a_death(answers: list[Answer], verdict: Answer | None) -> None:
    """One may be of the instant between a question and its answer."""
    assert dead(answers) is verdict


def test_a_backend_that_waits_for_its_client_waits_for_us() -> None:
    """Whether for a question or for room; one that waits for a lock or a disk works, and one of another role may."""
    assert answered("idle", "Client") is WAITS
    assert answered("active", "Client") is WAITS
    assert answered("active", "Lock") is WORKS
    assert answered("active", None) is WORKS
    assert answered(None, None) is UNKNOWN


def test_the_defaults_notice_a_dead_peer_within_a_minute() -> None:
    """A server that answers nobody takes longest: silence, a question that times out, a pause, another."""
    idle, interval = limits.KEEPALIVES["keepalives_idle"], limits.KEEPALIVES["keepalives_interval"]
    assert idle + limits.CONNECT_SECONDS + interval + limits.CONNECT_SECONDS < 60
    assert idle + interval * limits.KEEPALIVES["keepalives_count"] < 60
    assert limits.KEEPALIVES["tcp_user_timeout"] < 60_000


async def watched(*answers: Answer, seconds: float, waits: bool = True) -> tuple[Answer | None, int, list[str]]:
    """Watches a session that gives these answers, the last one again and again; gives verdict, questions, deeds."""
    deeds: list[str] = []
    asked = 0
    left = chain(answers, repeat(answers[-1]))

    async def ask() -> Answer:
        nonlocal asked
        asked += 1
        return next(left)

    async def end() -> None:
        deeds.append("end")

    watch = Watch(Silence(0.02, 0.01, 0.05), ask, end, lambda: deeds.append("cut"))
    watch.start()
    if waits:
        with watch.waiting():
            await asyncio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)
    watch.stop()
    return watch.verdict, asked, deeds


async def test_a_session_that_lost_touch_is_ended_on_both_sides() -> None:
    """First at the server, for it may hold locks; a session that is gone there is only cut here."""
    assert await watched(WAITS, seconds=0.3) == (WAITS, 2, ["end", "cut"])
    assert await watched(GONE, seconds=0.3) == (GONE, 2, ["cut"])


async def test_a_session_that_works_is_asked_about_and_left_alone() -> None:
    """However long it takes."""
    verdict, asked, deeds = await watched(WORKS, seconds=0.3)
    assert (verdict, deeds) == (None, [])
    assert asked > 2


async def test_nobody_asks_about_a_session_that_nobody_waits_for() -> None:
    """Idle sessions cost nothing."""
    assert await watched(GONE, seconds=0.2, waits=False) == (None, 0, [])


async def test_a_server_that_does_not_answer_the_question_is_out_of_reach() -> None:
    """The question has its own time."""
    deeds: list[str] = []

    async def never() -> Answer:
        await asyncio.sleep(60)
        raise AssertionError

    async def end() -> None:
        deeds.append("end")

    watch = Watch(Silence(0.02, 0.01, 0.03), never, end, lambda: deeds.append("cut"))
    watch.start()
    with watch.waiting():
        await asyncio.sleep(0.5)
    assert (watch.verdict, deeds) == (SILENT, ["cut"])
