"""Which rows the next load of each table would copy, as far as that is known without reading rows. Writes nothing."""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from etl.ledger import book
from etl.loads import basis, survey
from etl.loads.basis import Chance
from etl.loads.decision import Decision
from etl.loads.prospects import Deciding, Outset
from etl.model.base import FullEvery, History
from etl.model.name import TargetName
from etl.model.shape import TableOptions
from etl.model.status import LoadKind
from etl.model.table import Table
from etl.model.way import RunWay
from etl.publish import obstacles
from etl.sessions.postgres import Source, Target
from etl.settings.settings import Settings
from etl.source import history


@dataclass(frozen=True, slots=True)
class Outlook:
    """The next load of a table: all rows for a ``reason``, or changes alone if there is none.

    ``is_refused`` says that the options ask for changes alone, so that the load would fail. ``doubt`` is why it would
    prove all rows, and copy them if they differ.
    """

    reason: str = ""
    is_refused: bool = False
    doubt: str = ""

    @property
    def load(self) -> LoadKind:
        """The kind of the load; one of changes may find that there are none, or too many."""
        return LoadKind.FULL if self.reason else LoadKind.DELTA

    def __str__(self) -> str:
        if self.reason:
            return f"the next load copies all rows: {self.reason}"
        proves = f", if the hashes of all rows are the same on both sides: {self.doubt}" if self.doubt else ""
        return f"the next load copies changes alone{proves}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next loads of the tables that may be loaded by their changes, by live table, and the way of their run."""

    loads: Mapping[TargetName, Outlook] = field(default_factory=dict)
    decision: Decision | None = None

    @property
    def merges(self) -> bool:
        """Whether the rows of all tables are merged into the live ones."""
        return self.decision is not None and self.decision.way == RunWay.MERGE

    def __str__(self) -> str:
        if self.decision is None or not (self.decision.reason or self.merges):
            return ""
        if self.merges:
            return "the next run merges rows into the live tables, unless too many have changed"
        return f"the next run replaces each live table of which a row has changed: {self.decision.reason}"


async def read(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> Forecast:
    """The forecast; empty if the ledger is an older version's: the next run brings it up to date."""
    described = await survey.described(settings, source, tables)
    outset = await _outset(settings, target, described)
    now = await history.look(source) if any(map(_needs_history, outset.chances.values())) else None
    options = {table.live: settings.options.of(table.source) for table in tables}
    kinds = {live: options[live].load or settings.load for live in outset.chances}
    loads = {
        live: _outlook(chance, options[live], now, is_wanted=kinds[live] == "delta")
        for live, chance in outset.chances.items()
    }
    return Forecast(loads, outset.decision)


async def _outset(settings: Settings, target: Target, tables: Sequence[Table]) -> Outset:
    if await book.is_current(target):
        return await Deciding(settings, target, obstacles.of_merges).outset(tables)
    described = [] if await book.exists(target) else [table for table in tables if table.definition is not None]
    return Outset(Decision(RunWay.SWAP), {table.live: basis.first(table) for table in described})


def _needs_history(chance: Chance) -> bool:
    return chance.published is not None or chance.is_first


def _outlook(chance: Chance, options: TableOptions, now: History | None, *, is_wanted: bool) -> Outlook:
    full_every = options.full_every or FullEvery()
    due = chance.due(full_every)
    waits = f"if a row has changed: {chance.waits}" if chance.waits else ""
    if chance.is_first and now is None:
        return Outlook(f"{chance.reason}; {history.UNKNOWN}", is_wanted)
    hopeless = "" if is_wanted else chance.hopeless
    reason = chance.reason or due or hopeless or _of_history(chance, now) or waits
    if not reason and now is not None and chance.published is not None:
        return Outlook(doubt=chance.published.base.history.doubt(now) or "")
    return Outlook(reason, is_wanted and bool(reason) and not chance.excuses(full_every))


def _of_history(chance: Chance, now: History | None) -> str:
    """Why the source has another history than the base, beyond doubt, or nothing."""
    assert chance.published is not None
    return history.UNKNOWN if now is None else chance.published.base.history.other_than(now) or ""
