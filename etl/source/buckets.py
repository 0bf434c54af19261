"""Buckets of keys: the parts into which both sides divide their keys, so that they need compare the numbers only.

If the rows of one side are a part of the other's, a bucket that has as many rows on both sides has the same rows.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from etl.model import limits
from etl.model.catalog import Column
from etl.source import checksum

ROWS = 32
"""The rows of a bucket, on average. Its keys are sent if one of its rows is gone, and its number is always sent."""

INTEGERS = {"smallint", "integer", "bigint"}

_LOWEST = -(2**63)
"""Of a bigint."""


@dataclass(frozen=True, slots=True)
class OnBothSides(ABC):
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

    @abstractmethod
    def _of(self, values: Sequence[sql.Composable]) -> sql.Composed:
        """The expression, with these values of the columns."""

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
        return cls(tuple(columns), min(max(1, rows // ROWS), limits.BUCKETS), kept=kept)

    @property
    def integer(self) -> Column | None:
        """The first column, if it is an integer: then a bucket should be a range, in which old rows go together."""
        return self.columns[0] if self.columns[0].type in INTEGERS else None

    def in_ranges(self, low: int, high: int) -> Buckets:
        """Buckets that are ranges of the first column, unless it has too few values to tell rows apart."""
        width = (high - low) // self.number
        return replace(self, width=max(1, width)) if width or len(self.columns) == 1 else self

    def range(self, number: int) -> tuple[int, int]:
        """The lowest and the highest value of the first column in a bucket. Division rounds towards zero."""
        assert self.width is not None
        low = number * self.width - (self.width - 1 if number <= 0 else 0)
        high = number * self.width + (self.width - 1 if number >= 0 else 0)
        return max(low, _LOWEST), min(high, -_LOWEST - 1)

    def _of(self, values: Sequence[sql.Composable]) -> sql.Composed:
        if self.width is not None:
            return sql.SQL("(({})::pg_catalog.int8 / {}::pg_catalog.int8)").format(values[0], sql.Literal(self.width))
        number = sql.Literal(self.number)
        return sql.SQL("pg_catalog.mod({}, {}::pg_catalog.int8)").format(self._hashed(values), number)


@dataclass(frozen=True, slots=True)
class Some:
    """Some of the buckets, by number. Their rows are found by one scan or, of ranges, each by an index."""

    buckets: Buckets
    numbers: Sequence[int]
    by_index: bool = False

    def rows(
        self, select: Callable[[str], sql.Composable], first: sql.Composable, bucket: sql.Composable
    ) -> sql.Composable:
        """The SELECT of their rows, if ``select`` composes that of the rows with a condition.

        ``first`` is the key's first column there, ``bucket`` the expression of the row's bucket.
        """
        if not self.by_index:
            return select(sql.SQL(_AMONG).format(bucket, _array(sorted(self.numbers))).as_string(None))
        lows, highs = zip(*(self.buckets.range(number) for number in self.numbers), strict=True)
        within = sql.SQL("{} BETWEEN etl_buckets.low AND etl_buckets.high").format(first).as_string(None)
        return sql.SQL(_OF_EACH).format(lows=_array(lows), highs=_array(highs), rows=select(within))


_AMONG = "{} IN (SELECT pg_catalog.unnest({}))"

# OFFSET leaves a loop over the buckets as the only plan: the server expects a thousand times as many rows in a range
_OF_EACH = (
    "SELECT etl_rows.* FROM ROWS FROM (pg_catalog.unnest({lows}), pg_catalog.unnest({highs}))"
    " AS etl_buckets (low, high), LATERAL ({rows} OFFSET 0) AS etl_rows"
)


def _array(numbers: Iterable[int]) -> sql.Composed:
    return sql.SQL("{}::pg_catalog.int8[]").format(sql.Literal(f"{{{','.join(map(str, numbers))}}}"))
