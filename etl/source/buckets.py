"""Buckets of keys: the parts into which both sides divide their keys, so that they need compare the numbers only.

If the rows of one side are a part of the other's, a bucket that has as many rows on both sides has the same rows.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from etl.model.catalog import Column
from etl.source import checksum

ROWS = 32
"""The rows of a bucket, on average. Its keys are sent if one of its rows is gone, and its number is always sent."""

INTEGERS = {"smallint", "integer", "bigint"}


@dataclass(frozen=True, slots=True)
class OnBothSides:
    """An expression over the columns of a key, which has the same value on both sides.

    ``kept`` is the encoding in which rows are copied without a conversion, or None.
    """

    columns: tuple[Column, ...]
    kept: str | None = field(default=None, kw_only=True)

    @property
    def of_source(self) -> sql.Composed:
        """The expression in a statement on the source."""
        return self._of([column.value for column in self.columns])

    def of_target(self, alias: str) -> sql.Composed:
        """The expression in a statement on the target that gives the row's table this alias."""
        return self._of([sql.Identifier(alias, column.name) for column in self.columns])

    def _of(self, values: Sequence[sql.Composable]) -> sql.Composed:
        raise NotImplementedError

    def _hashed(self, values: Sequence[sql.Composable]) -> sql.Composed:
        return checksum.hashed(zip(values, self.columns, strict=True), self.kept)


@dataclass(frozen=True, slots=True)
class Buckets(OnBothSides):
    """How the keys of a table are divided: into ranges of the first column, or by a hash into ``number`` buckets.

    ``width`` is that of a range. The expression is the number of a row's bucket, a bigint.
    """

    number: int
    width: int | None = None

    @classmethod
    def of(cls, columns: Sequence[Column], rows: int, kept: str | None) -> Buckets:
        """The buckets of a table with so many rows."""
        return cls(tuple(columns), max(1, rows // ROWS), kept=kept)

    @property
    def integer(self) -> Column | None:
        """The first column, if it is an integer: then a bucket should be a range, in which old rows go together."""
        return self.columns[0] if self.columns[0].type in INTEGERS else None

    def in_ranges(self, low: int, high: int) -> Buckets:
        """Buckets that are ranges of the first column, unless it has too few values to tell rows apart."""
        width = (high - low) // self.number
        return replace(self, width=max(1, width)) if width or len(self.columns) == 1 else self

    def _of(self, values: Sequence[sql.Composable]) -> sql.Composed:
        if self.width is not None:
            return sql.SQL("(({})::pg_catalog.int8 / {}::pg_catalog.int8)").format(values[0], sql.Literal(self.width))
        number = sql.Literal(self.number)
        return sql.SQL("pg_catalog.mod({}, {}::pg_catalog.int8)").format(self._hashed(values), number)


def among(bucket: sql.Composable, wanted: Iterable[int]) -> sql.Composed:
    """The condition that a row's bucket is one of these."""
    numbers = f"{{{','.join(map(str, sorted(wanted)))}}}"
    return sql.SQL("{} IN (SELECT pg_catalog.unnest({}::pg_catalog.int8[]))").format(bucket, sql.Literal(numbers))
