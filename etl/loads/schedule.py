"""Who works next: ``ETL_JOBS`` pairs of connections, handed out to the largest table that waits for one.

Whole tables, page ranges and index builds all take a pair for as long as they work, so they share one budget, and all
of a giant's work goes before that of smaller tables: its ranges are read first, its indexes are built as soon as its
rows are in, and it does not finish alone when all others are done (longest processing time first).
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from etl.sessions.pair import Pair


@dataclass(slots=True)
class Schedule:
    """The pairs that nobody works with, and who waits for one: the heaviest first, of equals the first to come."""

    free: list[Pair]
    _waiting: list[tuple[int, int, Future[Pair]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    @asynccontextmanager
    async def turn(self, weight: int) -> AsyncIterator[Pair]:
        """Waits for a pair, in order of ``weight`` (bytes), and gives it for as long as the block lasts."""
        pair = self.free.pop() if self.free else await self._wait(weight)
        try:
            yield pair
        finally:
            self._give(pair)

    async def _wait(self, weight: int) -> Pair:
        place: Future[Pair] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-weight, next(self._numbers), place))
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give(place.result())  # it had just been handed over
            raise

    def _give(self, pair: Pair) -> None:
        while self._waiting:
            _, _, place = heappop(self._waiting)
            if not place.done():
                place.set_result(pair)
                return
        self.free.append(pair)

    async def close(self) -> None:
        """Closes all pairs, when nobody works with them any more."""
        for pair in self.free:
            await pair.close()
