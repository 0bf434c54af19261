"""The decision whether a run replaces its tables or merges rows into them: all of them in one way. Pure policy.

A transaction whose snapshot is older than the publish sees today's rows in a table that was swapped, and yesterday's
where rows were merged. So a run that did both would show it a mixture.
"""

# docs/decisions.md, "A run is swapped or merged as a whole"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from etl.model import limits
from etl.model.name import TargetName
from etl.model.way import RunWay


class Sized(Protocol):
    """A table with so many bytes."""

    @property
    def bytes(self) -> int:
        """The bytes of its rows, an estimate."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of the load of a table before it begins; ``bytes`` and ``rows`` are estimates.

    ``must_be_swapped`` is the reason why rows cannot be merged into the live table, if so. ``share`` is the share of
    its rows that has changed, if the load may be a delta; None if it copies all rows. ``row_seconds`` is how long a
    changed row takes to merge. ``has_key`` says whether a key tells the rows of the live table apart.
    """

    table: TargetName
    bytes: int
    rows: int
    must_be_swapped: str = ""
    share: float | None = None
    row_seconds: float = limits.MERGE_ROW_SECONDS
    has_key: bool = True

    @property
    def merged(self) -> float:
        """What the table costs in a run that merges, in bytes of a full load."""
        if self.share is None:
            return limits.COST_OF_A_TABLE + self.bytes * self._merged_whole
        factor = limits.COST_OF_COUNTING + limits.COST_OF_CHANGES * self.share
        return limits.COST_OF_A_TABLE * limits.COST_OF_A_DELTA + self.bytes * factor

    @property
    def swapped(self) -> float:
        """What it costs in a run that swaps, if a row of it has changed."""
        return limits.COST_OF_A_TABLE + self.bytes

    @property
    def seconds(self) -> float:
        """How long the publish would merge its rows."""
        if self.share is None:
            return self.bytes * (self._merged_whole - 1) / limits.MERGED_BYTES_A_SECOND
        return self.share * self.rows * self.row_seconds

    @property
    def _merged_whole(self) -> float:
        return limits.COST_OF_MERGED_WHOLE if self.has_key else limits.COST_OF_MERGED_BY_ROW


@dataclass(frozen=True, slots=True)
class Decision:
    """The way of a run, and why its tables are swapped, if that is not for want of anything to merge."""

    way: RunWay
    reason: str = ""


def decide(prospects: Sequence[Prospect], merge_max: float) -> Decision:
    """Decides for the tables of a run that have a live table; ``merge_max`` are the seconds that merges may take."""
    if not any(one.share is not None for one in prospects):
        return Decision(RunWay.SWAP)
    if forced := sorted((one for one in prospects if one.must_be_swapped), key=lambda one: one.table):
        others = f" (and {len(forced) - 1} more)" if len(forced) > 1 else ""
        return Decision(RunWay.SWAP, f"{forced[0].table} has to be replaced{others}: {forced[0].must_be_swapped}")
    if (seconds := sum(one.seconds for one in prospects)) > merge_max:
        return Decision(
            RunWay.SWAP, f"merges would take about {seconds:,.0f} s, more than the {merge_max:g} s of ETL_MERGE_MAX"
        )
    merged, swapped = sum(one.merged for one in prospects), sum(one.swapped for one in prospects)
    if merged > swapped:
        return Decision(RunWay.SWAP, _dearer(prospects, merged / swapped))
    return Decision(RunWay.MERGE)


def are_tiny(tables: Sequence[Sized]) -> str:
    """Why many tables are not worth the question which of them can be merged; empty if they are."""
    size = sum(table.bytes for table in tables)
    if len(tables) < limits.MANY_TABLES or size >= len(tables) * limits.COST_OF_A_TABLE:
        return ""
    return f"its {len(tables):,} tables have {size / 1e6:,.0f} MB in all; to merge rows takes longer than a swap"


def are_too_small(tables: Sequence[Sized]) -> str:
    """Why tables are not worth the question which of their rows have changed; empty if they are."""
    size = sum(table.bytes for table in tables)
    if len(tables) < limits.MANY_SMALL_TABLES or size >= len(tables) * limits.SMALL_TABLE_BYTES:
        return ""
    text = f"{len(tables):,} tables have {size / 1e6:,.0f} MB in all"
    return f"{text}; to look for changes takes longer than to copy all rows"


def _dearer(prospects: Sequence[Prospect], ratio: float) -> str:
    """Why merging costs so many times what swapping does: changed rows, or tables that are loaded whole."""
    total = sum(one.swapped for one in prospects)
    whole = sum(one.swapped for one in prospects if one.share is None) / total
    changed = sum(one.swapped * (one.share or 0.0) for one in prospects) / total
    shown = f"{100 * changed:.0f}" if changed > 0.01 else f"{100 * changed:.1g}"
    parts = [f"about {shown} % of the rows have changed"] if changed else []
    parts += [f"{100 * whole:.0f} % of the bytes are in tables that are loaded whole"] if whole else []
    return f"{' and '.join(parts)}, so merging would cost about {ratio:.1f} times as much"
