"""Assigns tables to shards, so that all shards take about the same time. Pure policy.

Each table, the longest first, goes to the shard that takes the least time so far (longest processing time first, LPT).
The longest shard of such a new assignment is never longer than 4/3 of the optimum (Graham, 1969). From night to night,
a table stays in its shard, as long as the longest shard is at most 5 %, or 5 seconds, longer than in a new assignment,
and within those 4/3. Otherwise, as few tables as possible move.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE = 1.05
"""Tables stay in their shards if the longest shard is at most this factor longer than in a new assignment."""

PATIENCE_SECONDS = 5.0
"""They stay, too, if it is at most so many seconds longer: less than a container takes to start."""

MOVES = 0.25
"""The fraction of all tables that may move; if more would have to, all are assigned anew."""

GUARANTEE = 4 / 3
"""The bound of LPT: how many times longer than the optimum the longest shard can be."""


@dataclass(frozen=True, slots=True)
class Item:
    """Tables that stay in one shard together (mostly one table), their seconds, and the shard of their last load."""

    tables: tuple[str, ...]
    seconds: float
    shard: int | None = None


def items(seconds: Mapping[str, float], shard: Mapping[str, int], together: Mapping[str, str]) -> list[Item]:
    """The tables as items, in the order of ``seconds``: one table each, or all tables of the same ``together``.

    ``shard`` is that of the last load, of a table that has one.
    """
    bound: dict[str, list[str]] = {}
    for table in seconds:
        # a table's label has a dot outside of quotes, so it cannot equal "together …"
        bound.setdefault(f"together {together[table]}" if table in together else table, []).append(table)
    return [_item(tables, seconds, shard) for tables in bound.values()]


def _item(tables: Sequence[str], seconds: Mapping[str, float], shard: Mapping[str, int]) -> Item:
    shares: dict[int, float] = {}
    for table in tables:
        if table in shard:
            shares[shard[table]] = shares.get(shard[table], 0.0) + seconds[table]
    most = max(shares, key=lambda number: shares[number]) if shares else None
    return Item(tuple(tables), sum(seconds[table] for table in tables), most)


def balance(items: Sequence[Item], most: int) -> list[list[Item]]:
    """Assigns the items to at most ``most`` shards, none empty; returns the items of each shard, the longest first."""
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
    """Assigns each item without a shard, in order, to the shard with the fewest seconds, of equals the fewest items."""
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
    """The seconds that the longest shard may take if tables stay in their shards."""
    # A lower bound of every assignment: the mean, the longest item, and the shortest pair that has to share a shard.
    pair = seconds[count - 1] + seconds[count] if len(seconds) > count else 0.0
    least = max(sum(seconds) / count, seconds[0], pair)
    return max(fresh, min(max(PATIENCE * fresh, fresh + PATIENCE_SECONDS), GUARANTEE * least)) * (1 + 1e-9)


def _kept(items: Sequence[Item], count: int, previous: Sequence[int | None], fresh: Sequence[int]) -> list[int] | None:
    """Keeps items in their shards and moves as few as possible; None if too many would move, or none had a shard."""
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
        """Whether no shard is empty, and none is longer than ``bound``."""
        return max(self.loads) <= bound and all(self.items)

    def move(self) -> bool:
        """Moves the item that evens the shards out most; returns whether there was such an item."""
        shortest = min(range(len(self.loads)), key=lambda number: (self.loads[number], len(self.items[number])))
        if not self.items[shortest]:  # another shard has two, because there are at least as many items as shards
            donors = [number for number, items in enumerate(self.items) if len(items) > 1]
        else:
            donors = list(range(len(self.loads)))
        longest = max(donors, key=lambda number: self.loads[number])
        gap = self.loads[longest] - self.loads[shortest]
        items = self.items[longest]
        position = min(bisect_left(items, (gap / 2, 0)), len(items) - 1)
        candidates = items[max(position - 1, 0) : position + 1]
        second, index = min(candidates, key=lambda item: abs(item[0] - gap / 2))
        if self.items[shortest] and second >= gap:
            return False
        items.remove((second, index))
        insort(self.items[shortest], (second, index))
        self.loads[longest] -= second
        self.loads[shortest] += second
        self.numbers[index] = shortest
        return True


def _renumbered(items: Sequence[Item], count: int, previous: Sequence[int | None], fresh: Sequence[int]) -> list[int]:
    """Numbers the shards of a new assignment: each gets the number of the old shard with most seconds in common."""
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
