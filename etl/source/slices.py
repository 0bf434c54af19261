"""Slices of a table's rows, told by their keys, of which each night proves another one.

For an integer, a slice is a range, which an index gives. New keys are usually higher ones, so the ranges of the next
night begin higher. The nights go through the slices from the last to the first: then no key is between two of them.

The rows of a small table are hashed at once, in one of so many nights: for them, a proof costs round trips above all.
The name decides which night it is, so that small tables do not all choose the same one.
"""

# docs/how-deltas-work.md, "The rotating proof"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from psycopg import sql

from etl.model.catalog import Column
from etl.source.buckets import INTEGERS, OnBothSides


def are_due_at_once(table: str, night: int, nights: int) -> bool:
    """Whether this is the night, one of so many, in which all rows of a small table are proven."""
    return night % nights == crc32(table.encode()) % nights


@dataclass(frozen=True, slots=True)
class Slice(OnBothSides):
    """One of the ``of`` slices: number 0 to ``of`` - 1. If ``of`` is 1, it has all rows.

    ``span`` are the lowest and the highest value of the first column, if the slices are ranges of it; otherwise they
    are parts of the key's hash. The expression is the condition of the slice's rows.
    """

    number: int
    of: int
    span: tuple[int, int] | None = None

    @classmethod
    def of_night(cls, columns: Sequence[Column], night: int, nights: int, kept: str | None) -> Slice:
        """The slice of a night, by hash."""
        return cls(tuple(columns), nights - 1 - night % nights, nights, kept=kept)

    @classmethod
    def whole(cls, columns: Sequence[Column], kept: str | None) -> Slice:
        """The slice that has all rows."""
        return cls(tuple(columns), 0, 1, kept=kept)

    @property
    def integer(self) -> Column | None:
        """The key's first column, if there are several slices and it is an integer: then they should be ranges."""
        one = self.columns[0]
        if self.of == 1:
            return None
        return one if one.type in INTEGERS and one.value == sql.Identifier(one.name) else None

    def _of(self, values: Sequence[sql.Composable]) -> sql.Composed:
        if self.of == 1:
            return sql.SQL("{}").format(sql.SQL("true"))
        if self.span is not None:
            return self._in_range(values[0], *self.span)
        parts = sql.Literal(self.of), sql.Literal(self.number), sql.Literal(self.number - self.of)
        return sql.SQL("pg_catalog.mod({}, {}::pg_catalog.int8) IN ({}, {})").format(self._hashed(values), *parts)

    def _in_range(self, value: sql.Composable, low: int, high: int) -> sql.Composed:
        """The first and the last range have no end, so each value is in one of them."""
        first, after = (low + (high - low) * number // self.of for number in (self.number, self.number + 1))
        conditions = [sql.SQL("{} >= {}").format(value, sql.Literal(first))] if self.number else []
        conditions += [sql.SQL("{} < {}").format(value, sql.Literal(after))] if self.number < self.of - 1 else []
        return sql.SQL(" AND ").join(conditions)

    def __str__(self) -> str:
        return "all keys" if self.of == 1 else f"slice {self.number + 1} of {self.of} of the keys"
