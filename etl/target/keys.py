"""The keys of a live table: the columns that identify a row, and what else must be unique. Pure policy.

Two values of a key are the same if the operator of the key's own index says so, under the index's collation: ``=`` need
not exist in ``pg_catalog`` (ltree), and may say more than that bytes are equal (citext).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from etl.model.name import TargetName


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

    ``names`` are its own and those of its copies on partitions. ``nulls_are_alike``: a NULL collides with another NULL
    (NULLS NOT DISTINCT).
    """

    name: str
    names: frozenset[TargetName]
    depends_on: tuple[str, ...]
    nulls_are_alike: bool


@dataclass(frozen=True, slots=True)
class Acting:
    """A foreign key with an action, ON DELETE or ON UPDATE, and the index (its oid) and columns to which it refers."""

    what: str
    index: int
    columns: tuple[str, ...]
    on_delete: bool
    on_update: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of a live table, if it has one, and the other indexes that keep its rows apart.

    ``own`` is the index of the key. Rows that the key does not match are the same by a ``second`` one. ``referred`` are
    the other keys to which foreign keys with an action refer. ``unmatched`` names foreign keys that act ON DELETE and
    refer to an index by which rows cannot be told apart.
    """

    key: Key | None = None
    own: Apart | None = None
    second: tuple[Key, ...] = ()
    others: tuple[Apart, ...] = ()
    referred: tuple[tuple[Acting, Key], ...] = ()
    unmatched: tuple[str, ...] = ()

    def apart(self, name: TargetName) -> Apart | None:
        """The index that keeps rows apart and has this name, or of which a copy on a partition has it."""
        known = (*([self.own] if self.own else []), *self.others)
        return next((apart for apart in known if name in apart.names), None)

    @classmethod
    def of(
        cls,
        rows: Iterable[dict[str, Any]],
        lacking: Collection[str] = (),
        acting: Iterable[Acting] = (),
        column: str | None = None,
    ) -> Keys:
        """The keys of a table, of which ``rows`` are the rows of ``keys.sql``, in that order.

        The key is the first index to which foreign keys refer that are ``acting`` ON DELETE: for them, a row with the
        same value is the same row. Otherwise it is the first index that identifies every row, or else one whose columns
        may be NULL. An index on a column that the staged rows are ``lacking`` is not a key. With ``column``, only an
        index on that column alone is.
        """
        indexes = list(rows)
        candidates = {
            row["index"]: _key(row)
            for row in indexes
            if row["identifies"] and row["is_whole"] and not {*row["depends_on"]} & {*lacking} and _comparable(row)
            if column is None or [one["name"] for one in row["columns"]] == [column]
        }
        referring = [*acting]
        deleting = {one.index for one in referring if one.on_delete}
        usual = min(candidates, key=lambda index: bool(candidates[index].nullable), default=None)
        chosen = min(
            candidates, key=lambda index: (index not in deleting, bool(candidates[index].nullable)), default=None
        )
        apart = {row["index"]: _apart(row) for row in indexes if not row["is_deferrable"]}
        own = apart.pop(chosen, None) if chosen is not None else None
        return cls(
            key=candidates[chosen] if chosen is not None else None,
            own=own,
            second=tuple(candidates[index] for index in candidates if index in {*deleting, usual} - {chosen}),
            others=tuple(apart.values()),
            referred=tuple(
                (one, candidates[one.index]) for one in referring if one.index in candidates and one.index != chosen
            ),
            unmatched=tuple(one.what for one in referring if one.on_delete and one.index not in candidates),
        )


def _apart(row: Mapping[str, Any]) -> Apart:
    names = frozenset(TargetName(**name) for name in row["names"])
    return Apart(row["name"], names, tuple(row["depends_on"]), row["nulls_are_alike"])


def _key(row: Mapping[str, Any]) -> Key:
    return Key(tuple(KeyColumn(**column) for column in row["columns"]))


def _comparable(row: dict[str, Any]) -> bool:
    return all(column["operator"] is not None for column in row["columns"])
