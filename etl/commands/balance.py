"""How tables are dealt out to shards. Pure policy.

The longest first, each to the shard that has least (LPT), which is never worse than 4/3 of the best there is (Graham,
1969). From night to night tables stay where they were, as long as the longest shard gets no more than 5 %, or 5
seconds, longer by it than it would be, dealt out anew; and never beyond those 4/3. Where more is to be gained, as few
tables move as will do.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

PATIENCE = 1.05
"""By how much longer the longest shard may be, for tables to stay where they were."""

PATIENCE_SECONDS = 5.0
"""Likewise, in seconds: less than it takes to start a container."""

MOVES = 0.25
"""Which part of all tables may move before all are dealt out anew."""

GUARANTEE = 4 / 3
"""How much longer than the best there is the longest shard may be at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """Tables that stay together (mostly one), the seconds that they take, and the shard where they were last."""

    tables: tuple[str, ...]
    seconds: float
    shard: int | None = None


def balance(items: Sequence[Item], most: int) -> list[list[Item]]:
    """Deals the items out to at most ``most`` shards, none of them empty; gives each shard's, the longest first."""
    count = min(most, len(items))
    ordered = sorted(items, key=lambda item: (-item.seconds, item.tables))
    if not count:
        return []
    fresh = _dealt([item.seconds for item in ordered], count, [None] * len(ordered))
    previous = [item.shard if item.shard is not None and 0 <= item.shard < count else None for item in ordered]
    numbers = _kept(ordered, count, previous, fresh) or _renumbered(ordered, count, previous, fresh)
    shards: list[list[Item]] = [[] for _ in range(count)]
    for item, number in zip(ordered, numbers, strict=True):
        shards[number].append(item)
    return shards


def _dealt(seconds: Sequence[float], count: int, numbers: Sequence[int | None]) -> list[int]:
    """Gives each of the sorted items that has no shard yet to the one that has least, in seconds and then in items."""
    loads = [[0.0, 0, number] for number in range(count)]
    for second, number in zip(seconds, numbers, strict=True):
        if number is not None:
            loads[number][0] += second
            loads[number][1] += 1
    heapq.heapify(heap := [tuple(load) for load in loads])
    dealt = []
    for second, number in zip(seconds, numbers, strict=True):
        if number is None:
            load, items, least = heap[0]
            heapq.heapreplace(heap, (load + second, items + 1, least))
            dealt.append(int(least))
        else:
            dealt.append(number)
    return dealt


def _longest(seconds: Sequence[float], numbers: Sequence[int], count: int) -> float:
    loads = [0.0] * count
    for second, number in zip(seconds, numbers, strict=True):
        loads[number] += second
    return max(loads)


def _bound(seconds: Sequence[float], count: int, fresh: float) -> float:
    """Gives how long the longest shard may be, for tables to stay where they were."""
    # No way to deal out is better than this: the mean, the longest, and the two that must share a shard.
    pair = seconds[count - 1] + seconds[count] if len(seconds) > count else 0.0
    least = max(sum(seconds) / count, seconds[0], pair)
    return max(fresh, min(max(PATIENCE * fresh, fresh + PATIENCE_SECONDS), GUARANTEE * least)) * (1 + 1e-9)


def _kept(items: Sequence[Item], count: int, previous: Sequence[int | None], fresh: Sequence[int]) -> list[int] | None:
    """Leaves the items where they were, moves as few as will do; None where that is too many, or nothing is known."""
    if all(number is None for number in previous):
        return None
    seconds = [item.seconds for item in items]
    bound = _bound(seconds, count, _longest(seconds, fresh, count))
    moving = _Moving(seconds, count, _dealt(seconds, count, previous))
    for _ in range(count + int(len(items) * MOVES)):
        if moving.is_within(bound):
            return moving.numbers
        if not moving.move():
            return None
    return moving.numbers if moving.is_within(bound) else None


class _Moving:
    """Shards between which items are moved one by one, from the longest shard to the shortest."""

    def __init__(self, seconds: Sequence[float], count: int, numbers: list[int]) -> None:
        self.numbers = numbers
        self.loads = [0.0] * count
        self.items: list[list[tuple[float, int]]] = [[] for _ in range(count)]
        for index, (second, number) in enumerate(zip(seconds, numbers, strict=True)):
            self.loads[number] += second
            self.items[number].append((second, index))
        for items in self.items:
            items.sort()

    def is_within(self, bound: float) -> bool:
        """Tells whether no shard is empty, and none longer than that."""
        return max(self.loads) <= bound and all(self.items)

    def move(self) -> bool:
        """Moves the item that evens out most; tells whether there was one."""
        shortest = min(range(len(self.loads)), key=lambda number: (self.loads[number], len(self.items[number])))
        if not self.items[shortest]:  # somebody has two: there are no fewer items than shards
            donors = [number for number, items in enumerate(self.items) if len(items) > 1]
        else:
            donors = list(range(len(self.loads)))
        longest = max(donors, key=lambda number: self.loads[number])
        gap = self.loads[longest] - self.loads[shortest]
        items = self.items[longest]
        position = min(bisect_left(items, (gap / 2, 0)), len(items) - 1)
        candidates = items[max(position - 1, 0) : position + 1]
        second, index = min(candidates, key=lambda one: abs(one[0] - gap / 2))
        if self.items[shortest] and second >= gap:
            return False
        items.remove((second, index))
        insort(self.items[shortest], (second, index))
        self.loads[longest] -= second
        self.loads[shortest] += second
        self.numbers[index] = shortest
        return True


def _renumbered(items: Sequence[Item], count: int, previous: Sequence[int | None], fresh: Sequence[int]) -> list[int]:
    """Gives shards that were dealt out anew the numbers of those with which they have most in common."""
    common: dict[tuple[int, int], float] = {}
    for item, number, before in zip(items, fresh, previous, strict=True):
        if before is not None:
            common[number, before] = common.get((number, before), 0.0) + item.seconds
    names: dict[int, int] = {}
    for number, before in sorted(common, key=lambda pair: (-common[pair], pair)):
        if number not in names and before not in names.values():
            names[number] = before
    free = [number for number in range(count) if number not in names.values()]
    for number in range(count):
        if number not in names:
            names[number] = free.pop(0)
    return [names[number] for number in fresh]
