"""Turns: the heaviest task waits least, and no pair of connections is lost."""

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
    """Waiting tasks get their turn by weight; a task that has its turn is not interrupted."""
    turns, served = schedule(1), list[str]()

    async def work(name: str, weight: int) -> None:
        async with turns.turn(weight):
            served.append(name)
            await asyncio.sleep(0)

    await together([work("first", 1), work("small", 1), work("big", 9), work("other", 9), work("middle", 5)])
    assert served == ["first", "big", "other", "middle", "small"]


async def test_as_many_work_as_there_are_pairs() -> None:
    """Never more, and never fewer while a task waits."""
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
    """It does so even if the pair had just been given to it."""
    turns = schedule(1)
    served = asyncio.Event()

    async def work() -> None:
        async with turns.turn(1):
            served.set()

    async with turns.turn(1):
        stopped = asyncio.create_task(turns.turn(5).__aenter__())
        last = asyncio.create_task(work())
        await asyncio.sleep(0)
    stopped.cancel()  # it already has the pair, but has not run since
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await last
    assert served.is_set()
    assert len(turns.free) == 1


async def test_the_first_error_stops_the_others_and_is_raised_plain() -> None:
    """The error is not in an exception group, and no other task keeps running."""
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
