"""What the loads of a run need to copy changed rows alone: for each table the base, or the reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from etl.ledger import ledger
from etl.model.base import History, Live, Published
from etl.model.errors import one_line
from etl.model.name import TargetName
from etl.model.table import Table
from etl.sessions.postgres import Source, Target
from etl.source import changes, definitions, history
from etl.target import mergeable, untouched
from etl.target.keys import Key

FIRST = "it has not been published with a base before"


@dataclass(frozen=True, slots=True)
class Chance:
    """Whether a table's load may be a delta: ``published`` and ``key`` if it may, else ``reason``.

    ``may_be_base`` says whether the next load may be a delta of this one.
    """

    reason: str = ""
    published: Published | None = None
    key: Key | None = None
    may_be_base: bool = True

    @property
    def is_first(self) -> bool:
        """Whether there is nothing yet that could be the base of a delta."""
        return self.reason == FIRST


@dataclass(slots=True)
class Instant:
    """The history and the xmin of a run's snapshot. They are read once: all readers join the same snapshot."""

    xmin: int | None = None
    history: History | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _is_known: bool = False

    async def ask_history(self, reader: Source) -> History | None:
        """The history; None if it cannot be known. ``reader`` has no transaction, and the snapshot was taken."""
        async with self._lock:
            if not self._is_known:
                self.history, self._is_known = await history.read(reader), True
        return self.history

    async def ask_xmin(self, source: Source) -> int:
        """The snapshot's xmin; ``source`` has joined it."""
        if self.xmin is None:
            self.xmin = await changes.xmin(source)
        return self.xmin


async def chances(
    target: Target, tables: Sequence[Table], unmergeable: Mapping[TargetName, str]
) -> dict[TargetName, Chance]:
    """Tells for each table with a definition whether its load may be a delta, as far as the catalogs show it.

    ``unmergeable`` are the tables into which no rows can be merged, with the reasons.
    """
    asked = [table for table in tables if table.definition is not None]
    if not asked:
        return {}
    names = [table.live for table in asked]
    try:
        bases, states = await ledger.bases(target, names), await untouched.states(target, names)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction) as error:
        unknown = Chance(f"the target does not tell its live tables: {one_line(error)}", may_be_base=False)
        return dict.fromkeys(names, unknown)
    keys = {item.table: item.keys.key for item in await mergeable.read(target, names)}
    return {
        table.live: _chance(table, bases.get(table.live), states, keys.get(table.live), unmergeable) for table in asked
    }


def _chance(
    table: Table,
    published: Published | None,
    states: Mapping[TargetName, Live],
    key: Key | None,
    unmergeable: Mapping[TargetName, str],
) -> Chance:
    if table.obstacle or published is None:
        return Chance(table.obstacle or FIRST, may_be_base=table.obstacle is None)
    if reason := next(_reasons(table, published, states, key, unmergeable), None):
        return Chance(reason)
    return Chance(published=published, key=key)


def _reasons(
    table: Table,
    published: Published,
    states: Mapping[TargetName, Live],
    key: Key | None,
    unmergeable: Mapping[TargetName, str],
) -> Iterator[str]:
    """The reasons why a table that was published before cannot be loaded by its changes."""
    if published.base.definition != table.definition:
        yield "the definition of the table, or of what it needs, has changed"
    if differs := untouched.known(states, table.live, published.live):
        yield differs
    if why := unmergeable.get(table.live):
        yield f"rows cannot be merged: {why}"
    if key is None or key.nullable or key.names not in {frozenset(columns) for columns in definitions.keys(table)}:
        yield "the live table has no key of the source's"
