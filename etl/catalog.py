"""What the source says of its tables, read inside the snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from etl.postgres import Source, source_query
from etl.selection import Relation, label


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its DDL's parts, whether its binary form may travel, and what it is cast to for the checksum.

    ``tables.sql`` says when and why.
    """

    name: str
    type: str
    collation: str | None = None
    not_null: bool = False
    not_null_name: str | None = None
    comment: str | None = None
    binary: bool = True
    hashed_as: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint owns; ``definition`` starts at USING, ``columns`` are those it rests on."""

    name: str
    unique: bool
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A primary key, unique, exclusion or check constraint; ``definition`` as ADD CONSTRAINT takes it."""

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source, as it will arrive. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    ``where`` is a condition in the source's SQL on the rows to copy, or None for all of them.
    """

    schema: str
    name: str
    kind: str = "r"
    oid: int = 0
    comment: str | None = None
    storage: tuple[str, ...] = ()
    bytes: int = 0
    rows: int = 0
    columns: tuple[Column, ...] = field(default=(), repr=False)
    indexes: tuple[Index, ...] = field(default=(), repr=False)
    constraints: tuple[Constraint, ...] = field(default=(), repr=False)
    where: str | None = None

    @property
    def is_binary(self) -> bool:
        """Whether every column can be copied in binary format."""
        return all(column.binary for column in self.columns)

    def select(self, expressions: sql.Composable) -> sql.Composed:
        """Gives the source's SELECT over the rows to copy, those of children and partitions included."""
        condition = sql.SQL(f" WHERE ({self.where})" if self.where else "")
        name = sql.Identifier(self.schema, self.name)
        return sql.SQL("SELECT {} FROM {}{}").format(expressions, name, condition)

    def __str__(self) -> str:
        return label(self.schema, self.name)


async def relations(source: Source) -> list[Relation]:
    """Lists every table and view of the source by name, except PostgreSQL's and this tool's own."""
    return [Relation(**dict(row)) for row in await source.fetch(source_query("relations"))]


async def tables(source: Source, chosen: Sequence[Relation]) -> list[Table]:
    """Describes the relations chosen, in their order."""
    rows = await source.fetch(source_query("tables"), [relation.oid for relation in chosen])
    described = {row["oid"]: _table(dict(row)) for row in rows}
    return [described[relation.oid] for relation in chosen if relation.oid in described]


def _table(row: dict[str, Any]) -> Table:
    kinds = {"columns": Column, "indexes": Index, "constraints": Constraint}
    parts = {key: tuple(_part(kind, part) for part in json.loads(row[key])) for key, kind in kinds.items()}
    return Table(**row | parts | {"storage": tuple(row["storage"])})


def _part(kind: Callable[..., Any], part: dict[str, Any]) -> Any:
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in part.items()})
