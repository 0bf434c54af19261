"""Turns: the heaviest waits least, and a pair is never lost."""

from __future__ import annotations

import asyncio

import pytest

from etl.loads.schedule import Schedule
from etl.sessions.pair import Pair
from etl.sessions.tasks import together
from etl.sessions.url import DatabaseUrl

URL = DatabaseUrl.parse("postgresql://u@h/d", {})


def schedule(jobs: int) -> Schedule:
    return Schedule([Pair(URL, URL, "test") for _ in range(jobs)])


async def test_the_heaviest_goes_first_and_equals_in_order() -> None:
    """What waits is served by weight; who holds the turn is not disturbed."""
    turns, served = schedule(1), list[str]()

    async def work(name: str, weight: int) -> None:
        async with turns.turn(weight):
            served.append(name)
            await asyncio.sleep(0)

    await together([work("first", 1), work("small", 1), work("big", 9), work("other", 9), work("middle", 5)])
    assert served == ["first", "big", "other", "middle", "small"]


async def test_as_many_work_as_there_are_pairs() -> None:
    """Never more, and never fewer while somebody waits."""
    turns, working, seen = schedule(3), 0, list[int]()

    async def work() -> None:
        nonlocal working
        async with turns.turn(1):
            working += 1
            await asyncio.sleep(0)
            seen.append(working)
            working -= 1

    await together(work() for _ in range(12))
    assert max(seen) == 3
    assert len(turns.free) == 3


async def test_who_is_stopped_while_waiting_gives_its_turn_on() -> None:
    """Also when the pair had just been handed over."""
    turns = schedule(1)
    served = asyncio.Event()

    async def work() -> None:
        async with turns.turn(1):
            served.set()

    async with turns.turn(1):
        stopped = asyncio.create_task(turns.turn(5).__aenter__())
        last = asyncio.create_task(work())
        await asyncio.sleep(0)
    stopped.cancel()  # the pair is its own by now, and it has not run since
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await last
    assert served.is_set()
    assert len(turns.free) == 1


async def test_the_first_error_stops_the_others_and_is_raised_plain() -> None:
    """No group around it, and nothing goes on behind one's back."""
    ended = list[str]()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("this one")

    async def goes_on() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("stopped")

    with pytest.raises(ValueError, match="this one"):
        await together([goes_on(), fails()])
    assert ended == ["stopped"]
    assert await together([asyncio.sleep(0, result) for result in (1, 2)]) == [1, 2]
