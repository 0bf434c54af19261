"""The schedule: ``ETL_JOBS`` pairs of connections, each given to the largest table that waits for a pair.

Whole tables, page ranges and index builds all take a pair while they work, so ``ETL_JOBS`` limits all of them together.
The work of a large table goes first: its ranges are read before smaller tables, and its indexes are built as soon as
its rows have been copied. So it does not end alone, long after all others (longest processing time first).
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
    """The free pairs, and the tasks that wait for a pair: the heaviest first, of equal ones the earliest."""

    free: list[Pair]
    _waiting: list[tuple[int, int, Future[Pair]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    @asynccontextmanager
    async def turn(self, weight: int) -> AsyncIterator[Pair]:
        """Waits for a pair, in order of ``weight`` (bytes), and yields it until the block ends."""
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
                self._give(place.result())  # another task had just given the pair to this one
            raise

    def _give(self, pair: Pair) -> None:
        while self._waiting:
            _, _, place = heappop(self._waiting)
            if not place.done():
                place.set_result(pair)
                return
        self.free.append(pair)

    async def close(self) -> None:
        """Closes all pairs; no task may use one any more."""
        for pair in self.free:
            await pair.close()
