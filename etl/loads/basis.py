"""What the loads of a run need to copy changed rows alone: for each table the base, or the reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from etl.ledger import ledger
from etl.model import limits
from etl.model.base import FullEvery, History, Live, Published, Seen
from etl.model.errors import one_line
from etl.model.name import TargetName
from etl.model.table import Table
from etl.sessions.postgres import Source, Target
from etl.settings.settings import Settings
from etl.source import changes, definitions, history
from etl.target import foreign_keys, untouched
from etl.target.keys import Key
from etl.target.mergeable import Merging

_NOT_LONG = f"SET LOCAL lock_timeout = '{limits.DELTA_LOCK_TIMEOUT}'".encode()

FIRST = "it has not been published with a base before, or its changes could not be published"


@dataclass(frozen=True, slots=True)
class Chance:
    """Whether a table's load may be a delta: ``published`` and ``key`` if it may, else ``reason``.

    ``may_be_base`` says whether the next load may be a delta of this one. ``waits`` is why a load that finds changes is
    to copy all rows; ``is_of_run`` says that another table is the reason, so that it is no fault of this one.
    """

    reason: str = ""
    published: Published | None = None
    key: Key | None = None
    may_be_base: bool = True
    waits: str = ""
    is_of_run: bool = False

    @property
    def is_first(self) -> bool:
        """Whether there is nothing yet that could be the base of a delta."""
        return self.reason == FIRST

    def excuses(self, full_every: FullEvery) -> bool:
        """Whether a full load is none of those that ``load = "delta"`` does not want."""
        return self.is_first or self.is_of_run or bool(self.due(full_every))

    def due(self, full_every: FullEvery) -> str:
        """The reason for a full load after so many nights, or nothing."""
        is_due = self.published is not None and full_every.is_due(self.published.base)
        return f"due every {full_every}" if is_due else ""

    @property
    def in_vain(self) -> int:
        """In how many nights the rows were counted for nothing (``Base``)."""
        return self.published.base.in_vain if self.published is not None else 0

    @property
    def hopeless(self) -> str:
        """The reason for a full load after several nights in which the rows were counted for nothing, or nothing."""
        return self.published.base.hopeless if self.published is not None else ""


@dataclass(slots=True)
class Instant:
    """The history, and what a run's snapshot has seen. They are read once: all readers join the same snapshot."""

    seen: Seen | None = None
    history: History | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _is_known: bool = False

    async def ask_history(self, reader: Source) -> History | None:
        """The history; None if it cannot be known. ``reader`` has no transaction, and the snapshot was taken."""
        async with self._lock:
            if not self._is_known:
                self.history, self._is_known = await history.read(reader), True
        return self.history

    async def ask_seen(self, source: Source) -> Seen:
        """What the snapshot has seen; ``source`` has joined it."""
        if self.seen is None:
            self.seen = await changes.seen(source)
        return self.seen


Merges = Callable[[Settings, Target, Sequence[Table]], Awaitable[Mapping[TargetName, Merging]]]
"""Tells whether rows can be merged into the live tables of some tables, in a run with these settings."""


async def candidates(target: Target, tables: Sequence[Table]) -> dict[TargetName, Chance]:
    """Tells for each table with a definition whether its load may be a delta, as far as ledger and source show it."""
    asked = [table for table in tables if table.definition is not None]
    if not asked:
        return {}
    names = [table.live for table in asked]
    try:
        bases, states = await ledger.bases(target, names), await untouched.states(target, names)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction) as error:
        unknown = Chance(f"the target does not tell its live tables: {one_line(error)}", may_be_base=False)
        return dict.fromkeys(names, unknown)
    return {table.live: _chance(table, bases.get(table.live), states) for table in asked}


async def merging(
    settings: Settings, target: Target, tables: Sequence[Table], merges: Merges
) -> Mapping[TargetName, Merging]:
    """Tells whether rows can be merged into the live tables that are there; none can while one of them is locked."""
    try:
        async with target.transaction():  # the definition of a view locks its tables while it is read
            await target.execute(_NOT_LONG)
            return await merges(settings, target, tables)
    except psycopg.errors.LockNotAvailable:
        locked = Merging(reason="a live table, or a view on one, is locked")
        return {table.live: locked for table in tables}


def with_keys(
    found: Mapping[TargetName, Chance], tables: Sequence[Table], into: Mapping[TargetName, Merging]
) -> dict[TargetName, Chance]:
    """The chances, without those of tables whose changes cannot be merged by a key of the source's."""
    possible = {table.live: table for table in tables if found[table.live].published}
    return {**found, **{live: _with_key(found[live], table, into.get(live)) for live, table in possible.items()}}


async def beside_swapped(
    target: Target, found: Mapping[TargetName, Chance], swapped: Collection[TargetName], *, why: str | None
) -> dict[TargetName, Chance]:
    """The chances in a run in which the ``swapped`` tables are replaced if all of their rows are loaded.

    If the whole run is to be swapped, ``why`` has the reason, or is empty; otherwise None. A table that refers to a
    replaced one would be in the way with its foreign key, even if no row of it has changed.
    """
    chances = dict(found)
    if why is not None:
        text = f"rows have changed, and the run publishes by swap{why and ': '}{why}"
        possible = {live: one for live, one in found.items() if one.published and live in swapped}
        chances |= {live: replace(one, waits=text, is_of_run=True) for live, one in possible.items()}
    return await _beside_referenced(target, chances, swapped, is_swap=why is not None)


async def _beside_referenced(
    target: Target, found: dict[TargetName, Chance], swapped: Collection[TargetName], *, is_swap: bool
) -> dict[TargetName, Chance]:
    """The chances, without those of tables that refer to a swapped one.

    A run that publishes by swap replaces each table of which a row has changed.
    """
    bases = {live: one.published for live, one in found.items() if one.published}
    if not bases or (not is_swap and bases.keys() >= {*swapped}):
        return found
    keys = await foreign_keys.read(target, [published.live.oid for published in bases.values()])
    while refer := {
        key.table: key.referenced
        for key in keys
        if key.table in bases and key.referenced in {*swapped} - ({key.table} if is_swap else bases.keys())
    }:
        for live, referenced in refer.items():
            del bases[live]
            found[live] = Chance(f"{referenced}, to which it refers, is replaced", is_of_run=True)
    return found


def first(table: Table) -> Chance:
    """The chance of a table of which no base is known."""
    return Chance(table.obstacle or FIRST, may_be_base=table.obstacle is None)


def _chance(table: Table, published: Published | None, states: Mapping[TargetName, Live]) -> Chance:
    """The chance as far as source and ledger show it."""
    if table.obstacle or published is None:
        return first(table)
    if published.base.definition != table.definition:
        return Chance("the definition of the table, or of what it needs, has changed")
    if differs := untouched.known(states, table.live, published.live):
        return Chance(differs)
    return Chance(published=published)


def _with_key(chance: Chance, table: Table, into: Merging | None) -> Chance:
    """The chance, if rows can be merged into the live table by a key that the source's table has, too."""
    if into is not None and into.reason:
        return Chance(f"rows cannot be merged: {into.reason}")
    keys = {frozenset(columns) for columns in definitions.keys(table)}
    if into is None or into.key is None or into.key.nullable or into.key.names not in keys:
        return Chance("the live table has no key of the source's")
    if into.waits and into.always:
        return Chance(into.waits)
    return replace(chance, key=into.key, waits=into.waits)
