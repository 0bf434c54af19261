"""When a run will have finished, by its earlier nights in the ledger. Pure policy.

Each table is expected to take what it took in its last nights. The loads that wait are dealt to as many places as the
last nights used at once, the longest first, as the schedule does. What is left over, because loads slow each other
down, is measured: the same rule is applied to each earlier night, whose end is known. The tables that have ended
tonight tell whether it is a slow night. Then comes the publish, which takes longer the more rows it has to merge.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

NIGHTS = 5
"""The earlier nights of each table by which tonight is judged: a habit is seen, and an old one forgotten."""

_ALIKE = 3
"""Of these, the newest that count, if so many are of the same kind."""

_PART_KNOWN = 0.5
"""The part of a run's tables that must have been loaded before; of fewer, nothing is foretold."""

_OVERDUE = 0.1
"""A load that has taken longer than expected is expected to take this part of its time more."""

_TRUST = 0.05
"""The weight of the usual beside what tonight's loads tell, as a part of the usual seconds of all tables."""

_FACTORS = (0.5, 3.0)
"""How far the measured factor may be from one: a night beside a backup says nothing about the next."""


@dataclass(frozen=True, slots=True)
class Past:
    """A load of an earlier night: its kind, and the seconds since the epoch at which it began and ended.

    ``merged`` are the rows that its publish has merged, and ``merge_seconds`` those that this took.
    """

    table: str
    shard: str | None
    kind: str
    began: float
    ended: float
    merged: int = 0
    merge_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Night:
    """An earlier run that was published: its way, its beginning and its end, and the loads that are known."""

    way: str | None
    began: float
    ended: float
    loads: tuple[Past, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """A load of tonight; ``began`` is None while it waits, ``ended`` until it needs nothing any more.

    ``merged`` are the rows that the publish will merge, if that is known.
    """

    table: str
    shard: str | None
    began: float | None = None
    ended: float | None = None
    merged: int | None = None

    def taken(self, at: float) -> float:
        """The seconds that it has taken so far, or in all."""
        return 0.0 if self.began is None else max((at if self.ended is None else self.ended) - self.began, 0.0)


@dataclass(frozen=True, slots=True)
class Left:
    """The seconds that a run has left: until its tables are staged, and for its publish.

    ``unknown`` is the number of tables that are still to be loaded and have no earlier night.
    """

    loads: float
    publish: float
    unknown: int = 0

    @property
    def seconds(self) -> float:
        """The seconds until the run has finished."""
        return self.loads + self.publish


def left(loads: Sequence[Now], nights: Sequence[Night], at: float, way: str | None = None) -> Left | None:
    """What a run has left at a time; None if its earlier nights, the newest first, tell too little.

    ``way`` is how its tables become live, if that is decided.
    """
    alike = [night for night in nights if way is None or night.way == way] or list(nights)
    expected = {name: _usual(name, alike, nights) for name in {load.table for load in loads}}
    known = [name for name, seconds in expected.items() if seconds is not None]
    whole = [night for night in alike if len(night.loads) >= _PART_KNOWN * len(loads)][:_ALIKE]
    if not loads or not whole or len(known) < _PART_KNOWN * len(expected):
        return None
    guess = median(seconds for seconds in expected.values() if seconds is not None)
    seconds = {name: guess if told is None else told for name, told in expected.items()}
    places = _places(whole)
    open_loads = [load for load in loads if load.ended is None]
    pace = _pace(loads, seconds, at)
    ends = _dealt(open_loads, places, lambda load: _still(load, seconds[load.table] * pace, at))
    unknown = sum(expected[load.table] is None for load in open_loads)
    return Left(ends * _factor(whole, places), _until_published(loads, whole, at), unknown)


def _usual(table: str, alike: Sequence[Night], nights: Sequence[Night]) -> float | None:
    """The seconds that a table usually takes: of its last loads that are of the newest one's kind."""
    for some in (alike, nights):
        told = [load for night in some for load in night.loads if load.table == table]
        if told:
            return median([load.ended - load.began for load in told if load.kind == told[0].kind][:_ALIKE])
    return None


def _pace(loads: Sequence[Now], usual: Mapping[str, float], at: float) -> float:
    """How much longer than usual tonight's loads take: those that have ended, and those that should have."""
    told = [load for load in loads if load.ended is not None or load.taken(at) > usual[load.table]]
    trust = _TRUST * sum(usual.values())
    return (trust + sum(load.taken(at) for load in told)) / (trust + sum(usual[load.table] for load in told))


def _still(load: Now, usual: float, at: float) -> float:
    """The seconds that a load has left."""
    taken = load.taken(at)
    return max(usual - taken, _OVERDUE * taken)


def _dealt(loads: Iterable[Now], places: Mapping[str | None, int], still: Callable[[Now], float]) -> float:
    """The seconds until all loads have ended; each shard has places of its own."""
    by_shard: dict[str | None, list[Now]] = {}
    for load in loads:
        by_shard.setdefault(load.shard, []).append(load)
    most = max(places.values(), default=1)
    ends = (_last(some, places.get(shard, most), still) for shard, some in by_shard.items())
    return max(ends, default=0.0)


def _last(loads: Sequence[Now], places: int, still: Callable[[Now], float]) -> float:
    ends = [still(load) for load in loads if load.began is not None]
    waiting = sorted((still(load) for load in loads if load.began is None), reverse=True)
    ends += [0.0] * (places - len(ends))
    heapq.heapify(ends)
    for seconds in waiting:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def _places(nights: Sequence[Night]) -> dict[str | None, int]:
    """How many loads each shard had at once: the most of its last night."""
    found: dict[str | None, int] = {}
    for night in nights:
        for shard in {load.shard for load in night.loads} - found.keys():
            found[shard] = _at_once([load for load in night.loads if load.shard == shard])
    return found


def _at_once(loads: Sequence[Past]) -> int:
    moves = sorted([(load.began, 1) for load in loads] + [(load.ended, -1) for load in loads])
    now = most = 0
    for _, step in moves:
        now += step
        most = max(most, now)
    return max(most, 1)


def _factor(nights: Sequence[Night], places: Mapping[str | None, int]) -> float:
    """How much longer the loads of earlier nights took than they would have by this rule."""
    factors = []
    for night in nights:
        took = {load.table: load.ended - load.began for load in night.loads}
        dealt = _dealt([Now(load.table, load.shard) for load in night.loads], places, lambda load: took[load.table])  # noqa: B023
        if dealt > 0:
            factors.append(_loading(night) / dealt)
    least, most = _FACTORS
    return min(max(median(factors), least), most) if factors else 1.0


def _loading(night: Night) -> float:
    return max(load.ended for load in night.loads) - min(load.began for load in night.loads)


def _until_published(loads: Sequence[Now], nights: Sequence[Night], at: float) -> float:
    """The seconds that the publish has left; it begins when the last load has ended."""
    merged = sum(load.merged for night in nights for load in night.loads)
    a_row = sum(load.merge_seconds for night in nights for load in night.loads) / max(merged, 1)
    rows = sum(_merged(load, nights) if load.merged is None else load.merged for load in loads)
    usual = median(map(_publish, nights)) + rows * a_row
    ends = [load.ended for load in loads if load.ended is not None]
    taken = max(at - max(ends), 0.0) if len(ends) == len(loads) else 0.0
    return max(usual - taken, _OVERDUE * taken)


def _merged(load: Now, nights: Sequence[Night]) -> float:
    told = [past.merged for night in nights for past in night.loads if past.table == load.table]
    return median(told) if told else 0.0


def _publish(night: Night) -> float:
    """The seconds from the last load's end to the run's, but for the merging of rows."""
    publish = night.ended - max(load.ended for load in night.loads)
    return max(publish - sum(load.merge_seconds for load in night.loads), 0.0)
