"""The keys of a live table: the columns that identify a row, and what else must be unique. Pure policy.

Two values of a key are the same if the operator of the key's own index says so, under the index's collation: ``=`` need
not exist in ``pg_catalog`` (ltree), and may say more than that bytes are equal (citext).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import sql


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a key, and how two of its values are compared; ``operator`` and ``collation`` are SQL."""

    name: str
    operator: str
    collation: str | None
    is_nullable: bool

    def same(self, left: str, right: str) -> sql.Composed:
        """The condition that two rows, by the aliases of their tables, have the same value."""
        collate = sql.SQL(f" COLLATE {self.collation}" if self.collation else "")
        one, other = sql.Identifier(left, self.name), sql.Identifier(right, self.name)
        return sql.SQL("{} {} {}{}").format(one, sql.SQL(self.operator), other, collate)


@dataclass(frozen=True, slots=True)
class Key:
    """The columns that identify a row. Rows with a NULL in one of them are not identified by it."""

    columns: tuple[KeyColumn, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of the columns."""
        return frozenset(column.name for column in self.columns)

    @property
    def nullable(self) -> tuple[str, ...]:
        """The names of the columns that may be NULL."""
        return tuple(column.name for column in self.columns if column.is_nullable)

    def same(self, left: str, right: str) -> sql.Composed:
        """The condition that two rows, by the aliases of their tables, have the same key."""
        return sql.SQL(" AND ").join(column.same(left, right) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Apart:
    """An index that keeps rows apart row by row: ``depends_on`` are the columns that decide whether two collide.

    ``nulls_are_alike``: a NULL collides with another NULL (NULLS NOT DISTINCT).
    """

    name: str
    depends_on: tuple[str, ...]
    nulls_are_alike: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of a live table, if it has one, and the other indexes that keep its rows apart."""

    key: Key | None = None
    others: tuple[Apart, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]], generated: Collection[str] = (), column: str | None = None) -> Keys:
        """The keys of a table, of which ``rows`` are the rows of ``keys.sql``, in that order.

        The first index that identifies every row is the key; otherwise the first one whose columns may be NULL. An
        index on a ``generated`` column is not, because the source need not have that column. With ``column``, only an
        index on that column alone is.
        """
        indexes = list(rows)
        candidates = [
            row
            for row in indexes
            if row["identifies"] and row["is_whole"] and not {*row["depends_on"]} & {*generated} and _comparable(row)
            if column is None or [one["name"] for one in row["columns"]] == [column]
        ]
        complete = [row for row in candidates if not any(column["is_nullable"] for column in row["columns"])]
        chosen = next(iter([*complete, *candidates]), None)
        key = Key(tuple(KeyColumn(**column) for column in chosen["columns"])) if chosen else None
        others = (row for row in indexes if row is not chosen and not row["is_deferrable"])
        return cls(key, tuple(Apart(row["name"], tuple(row["depends_on"]), row["nulls_are_alike"]) for row in others))


def _comparable(row: dict[str, Any]) -> bool:
    return all(column["operator"] is not None for column in row["columns"])
