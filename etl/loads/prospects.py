"""Reads what a run has to know of its tables before it decides whether it swaps or merges them (``decision.py``)."""

# docs/decisions.md, "A run is swapped or merged as a whole"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from etl.ledger import ledger
from etl.ledger.rows import Shape
from etl.loads import basis, survey
from etl.loads.basis import Chance, Merges
from etl.loads.decision import Decision, Prospect, are_tiny, decide
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.base import FullEvery
from etl.model.name import Planned, TargetName
from etl.model.table import Table
from etl.model.way import RunWay
from etl.sessions.postgres import Source, Target
from etl.settings.settings import Settings
from etl.source import changes, definitions
from etl.source.snapshot import Snapshot
from etl.target.mergeable import Merging

log = get_logger()


@dataclass(frozen=True, slots=True)
class Outset:
    """What is known before the loads of a run: how its tables become live, and which loads may be deltas."""

    decision: Decision
    chances: Mapping[TargetName, Chance]


@dataclass(frozen=True, slots=True)
class Deciding:
    """The decision of one run; ``merges`` tells into which live tables rows can be merged.

    ``others`` are the run's tables that other processes load; their way is known then.
    """

    settings: Settings
    target: Target
    merges: Merges
    others: Sequence[Planned] = ()

    async def outset(self, tables: Sequence[Table], held: Snapshot | None = None) -> Outset:
        """Decides; without a snapshot, as far as that is known without reading rows.

        ``tables`` are all of the run's or, if its way is known already, all that this process loads.
        """
        target, way = self.target, self.settings.publish_way
        if why := survey.not_asked(self.settings, tables):
            kinds = {table.live: self.settings.options.of(table.source).load or self.settings.load for table in tables}
            chance = Chance(why, may_be_base=False, is_of_run=True)
            return Outset(Decision(RunWay.SWAP, why), {live: chance for live, kind in kinds.items() if kind != "full"})
        chances = await basis.candidates(target, tables)
        possible = [table for table in tables if table.live in chances and chances[table.live].published]
        if not possible:
            return Outset(Decision(RunWay.SWAP if way == "auto" else RunWay(way)), chances)
        if way == "auto" and (tiny := are_tiny(tables)):  # before the servers are asked about each of them
            outset = await replace(self, settings=self.settings.by(RunWay.SWAP)).outset(tables)
            return replace(outset, decision=Decision(RunWay.SWAP, tiny))
        into = await basis.merging(self.settings, target, tables if way == "auto" else possible, self.merges)
        chances = basis.with_keys(chances, possible, into)
        if way == "merge":
            return Outset(Decision(RunWay.MERGE), chances)
        shapes = await ledger.shapes(target, [table.live for table in tables])
        outdated = {
            table.live: why
            for table in tables
            if (why := self._outdated(table, shapes.get(table.live), chances.get(table.live)))
        }
        both = outdated.keys() & {table.live for table in possible}
        chances |= {live: Chance(outdated[live], is_of_run=live not in shapes) for live in both}
        if way != "auto":
            return await self._by(Decision(RunWay(way)), tables, chances)
        prospects = [
            self._prospect(table, into[table.live], outdated.get(table.live, ""), shapes.get(table.live))
            for table in tables
            if table.live in into
        ]
        return await self._by(await self._decided(tables, chances, prospects, held), tables, chances)

    async def _by(self, decision: Decision, tables: Sequence[Table], chances: Mapping[TargetName, Chance]) -> Outset:
        """The outset of a run after its decision: what is swapped takes chances from other tables."""
        if decision.way == RunWay.MERGE:
            return Outset(decision, chances)
        every = [*self.others, *(Planned(table.source, table.live) for table in tables)]
        swapped = {one.live for one in every if self.settings.options.of(one.source).publish != "in-place"}
        why = decision.reason if decision.way == RunWay.SWAP else None
        return Outset(decision, await basis.beside_swapped(self.target, chances, swapped, why=why))

    async def _decided(
        self,
        tables: Sequence[Table],
        chances: Mapping[TargetName, Chance],
        prospects: Sequence[Prospect],
        held: Snapshot | None,
    ) -> Decision:
        shares = {table.live: share for table in tables if (share := self._share(table, chances.get(table.live)))}
        if shares and held is not None:
            shares = await _sampled(held, [table for table in tables if table.live in shares], chances)
        known = [_known(one, chances.get(one.table), shares.get(one.table)) for one in prospects]
        return decide(known, self.settings.merge_max)

    def _share(self, table: Table, chance: Chance | None) -> float | None:
        """The share of rows that has changed, as it is usual; None if all rows are copied."""
        if chance is None or chance.published is None or chance.hopeless:
            return None
        full_every = self.settings.options.of(table.source).full_every or FullEvery()
        return None if chance.due(full_every) else limits.USUAL_SHARE

    def _prospect(self, table: Table, merging: Merging, outdated: str, shape: Shape | None) -> Prospect:
        return Prospect(
            table.live,
            max(table.bytes, shape.bytes if shape else 0),  # a view of the source has no bytes in the catalog
            table.rows,
            self._must_be_swapped(table, merging, outdated),
            has_key=merging.key is not None,
        )

    def _outdated(self, table: Table, shape: Shape | None, chance: Chance | None) -> str:
        """Why a live table lacks something that only a load brings which replaces it.

        What the options let a load skip is tried again in the nights in which the table is due to be loaded whole.
        """
        options = self.settings.options.of(table.source)
        if options.publish == "in-place":
            return ""
        if shape is None:
            return "no load has recorded yet what it brings beside the rows"
        if shape.shape != definitions.shape(table, without_target_indexes=options.without_target_indexes):
            return "its columns, indexes, constraints, comments or options have changed"
        is_due = chance is not None and bool(chance.due(options.full_every or FullEvery()))
        skips = "skip" in {options.unbuildable_indexes, options.unbuildable_checks}
        return f"the live table lacks {', '.join(shape.lacking)}" if shape.lacking and (is_due or not skips) else ""

    def _must_be_swapped(self, table: Table, merging: Merging, outdated: str) -> str:
        """Why a table has to be replaced if a row of it has changed."""
        options = self.settings.options.of(table.source)
        if options.publish == "in-place":
            return ""
        if options.publish == "swap":
            return "its option publish is swap"
        return f"rows cannot be merged: {merging.reason}" if merging.reason else outdated or merging.waits


def _known(prospect: Prospect, chance: Chance | None, share: float | None) -> Prospect:
    """The prospect of a table whose load may be a delta, with what the last one tells."""
    if share is None or chance is None or chance.published is None:
        return prospect
    published = chance.published
    row_seconds = published.row_seconds or limits.MERGE_ROW_SECONDS
    return replace(prospect, share=share, rows=published.base.rows, row_seconds=row_seconds)


async def _sampled(
    held: Snapshot, tables: Sequence[Table], chances: Mapping[TargetName, Chance]
) -> dict[TargetName, float]:
    """The share of changed rows of each table: by a sample of the largest ones, and their mean for the others."""
    largest = sorted(tables, key=lambda table: table.bytes, reverse=True)[: limits.SAMPLED_TABLES]
    shares: dict[TargetName, float] = {}
    async with held.session() as source:
        for table in largest:
            if (share := await _share(source, table, chances[table.live])) is not None:
                shares[table.live] = share
    sizes = {table.live: table.bytes for table in largest if table.live in shares}
    weight = sum(sizes.values())
    mean = sum(size * shares[live] for live, size in sizes.items()) / weight if weight else limits.USUAL_SHARE
    return {table.live: shares.get(table.live, mean) for table in tables}


async def _share(source: Source, table: Table, chance: Chance) -> float | None:
    """The share of a table's rows that has changed, by a sample; None if it is too small, or cannot be read so."""
    assert chance.published is not None
    if changes.share_of_sample(table) is None:
        return None
    try:
        async with source.transaction():
            sample = await changes.sample(source, table, chance.published.base.seen.xmin)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return None  # the load of this table will say what is wrong, or that the snapshot is lost
    return None if sample is None else sample.share


def say(decision: Decision) -> None:
    """Logs a decision."""
    more: dict[str, Any] = {"reason": decision.reason} if decision.reason else {}
    log.info("run.decided", way=decision.way.value, **more)
