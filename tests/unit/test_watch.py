"""How the watch tells a dead session from a silent one that works."""

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
    """One alone may come from the moment between a question and its answer."""
    assert dead(answers) is verdict


def test_a_backend_that_waits_for_its_client_waits_for_us() -> None:
    """It waits for a query or for buffer space. One that waits for a lock or a disk works; another role's may work."""
    assert answered("idle", "Client") is WAITS
    assert answered("active", "Client") is WAITS
    assert answered("active", "Lock") is WORKS
    assert answered("active", None) is WORKS
    assert answered(None, None) is UNKNOWN


def test_the_defaults_notice_a_dead_peer_within_a_minute() -> None:
    """A server that does not answer at all takes longest: silence, a question's timeout, a pause, another question."""
    idle, interval = limits.KEEPALIVES["keepalives_idle"], limits.KEEPALIVES["keepalives_interval"]
    assert idle + limits.CONNECT_SECONDS + interval + limits.CONNECT_SECONDS < 60
    assert idle + interval * limits.KEEPALIVES["keepalives_count"] < 60
    assert limits.KEEPALIVES["tcp_user_timeout"] < 60_000


async def watched(*answers: Answer, seconds: float, waits: bool = True) -> tuple[Answer | None, int, list[str]]:
    """Watches a session with these answers, the last one repeated; returns verdict, questions and actions."""
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
    """The watch terminates it at the server, where it may hold locks; a session that is gone there is only closed."""
    assert await watched(WAITS, seconds=0.3) == (WAITS, 2, ["end", "cut"])
    assert await watched(GONE, seconds=0.3) == (GONE, 2, ["cut"])


async def test_a_session_that_works_is_asked_about_and_left_alone() -> None:
    """Its work may take any time."""
    verdict, asked, deeds = await watched(WORKS, seconds=0.3)
    assert (verdict, deeds) == (None, [])
    assert asked > 2


async def test_nobody_asks_about_a_session_that_nobody_waits_for() -> None:
    """Idle sessions cost nothing."""
    assert await watched(GONE, seconds=0.2, waits=False) == (None, 0, [])


async def test_a_server_that_does_not_answer_the_question_is_out_of_reach() -> None:
    """The question has its own timeout."""
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
