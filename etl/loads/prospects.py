"""Reads what a run has to know of its tables before it decides whether it swaps or merges them (``decision.py``)."""

# docs/decisions.md, "A run is swapped or merged as a whole"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from etl.ledger import ledger
from etl.ledger.rows import Shape
from etl.loads import basis
from etl.loads.basis import Chance, Merges
from etl.loads.decision import Decision, Prospect, decide
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
        target, is_open = self.target, self.settings.publish_way == "auto"
        chances = await basis.candidates(target, tables)
        possible = [table for table in tables if table.live in chances and chances[table.live].published]
        into: Mapping[TargetName, Merging] = {}
        if possible:
            into = await basis.merging(target, tables if is_open else possible, self.merges)
            chances = basis.with_keys(chances, possible, into)
        if is_open:
            decision = await self._decided(tables, chances, into, held)
        else:
            decision = Decision(RunWay(self.settings.publish_way))
        if decision.way == RunWay.MERGE:
            return Outset(decision, chances)
        every = [*self.others, *(Planned(table.source, table.live) for table in tables)]
        swapped = {one.live for one in every if self.settings.options.of(one.source).publish != "in-place"}
        why = decision.reason if decision.way == RunWay.SWAP else None
        return Outset(decision, await basis.beside_swapped(target, chances, swapped, why=why))

    async def _decided(
        self,
        tables: Sequence[Table],
        chances: Mapping[TargetName, Chance],
        into: Mapping[TargetName, Merging],
        held: Snapshot | None,
    ) -> Decision:
        found = {table.live: self._share(table, chances.get(table.live)) for table in tables}
        possible = [table for table in tables if found[table.live] is not None]
        if not possible:
            return Decision(RunWay.SWAP)
        if held is not None:
            found |= await _sampled(held, possible, chances)
        shapes = await ledger.shapes(self.target, [table.live for table in tables])
        prospects = [
            self._prospect(table, found[table.live], chances.get(table.live), merging, shapes.get(table.live))
            for table in tables
            if (merging := into.get(table.live))
        ]
        return decide(prospects, self.settings.merge_max)

    def _share(self, table: Table, chance: Chance | None) -> float | None:
        """The share of rows that has changed, as it is usual; None if all rows are copied."""
        full_every = self.settings.options.of(table.source).full_every or FullEvery()
        return limits.USUAL_SHARE if chance and chance.published and not chance.due(full_every) else None

    def _prospect(
        self, table: Table, share: float | None, chance: Chance | None, merging: Merging, shape: Shape | None
    ) -> Prospect:
        known = chance.published.row_seconds if chance and chance.published else None
        return Prospect(
            table.live,
            max(table.bytes, shape.bytes if shape else 0),  # a view of the source has no bytes in the catalog
            table.rows,
            self._must_be_swapped(table, merging, shape),
            share,
            known or limits.MERGE_ROW_SECONDS,
            merging.key is not None,
        )

    def _must_be_swapped(self, table: Table, merging: Merging, shape: Shape | None) -> str:
        """Why a table has to be replaced, if it does."""
        publish = self.settings.options.of(table.source).publish
        if publish == "in-place":
            return ""
        if publish == "swap":
            return "its option publish is swap"
        if merging.reason:
            return f"rows cannot be merged: {merging.reason}"
        if shape is None:
            return "no run has recorded yet what it brings beside the rows"
        if shape.shape != definitions.shape(table):
            return "its columns, indexes, constraints, comments or options have changed"
        return merging.waits


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
    try:
        async with source.transaction():
            sample = await changes.sample(source, table, chance.published.base.seen.xmin)
    except asyncpg.PostgresError:  # the load of this table will say what is wrong
        return None
    return None if sample is None else sample.share


def say(decision: Decision) -> None:
    """Logs a decision."""
    more: dict[str, Any] = {"reason": decision.reason} if decision.reason else {}
    log.info("run.decided", way=decision.way.value, **more)
