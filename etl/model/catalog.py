"""A table of the source as its catalog describes it, before any option has been applied."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from psycopg import sql

from etl.model.name import Relation


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its DDL's parts, whether its binary form may travel, and what it is cast to for the checksum.

    ``column_types.sql`` says when and why; ``names_objects``: whether its values hold oids of the source's own objects.
    ``user_type`` is its type's schema and name where that is not PostgreSQL's own.
    """

    name: str
    type: str
    collation: str | None = None
    not_null: bool = False
    not_null_name: str | None = None
    comment: str | None = None
    user_type: tuple[str, str] | None = None
    storage: str | None = None
    compression: str | None = None
    statistics: int | None = None
    binary: bool = True
    names_objects: bool = False
    hashed_as: str | None = None

    @property
    def value(self) -> sql.Composable:
        """The source's expression for its value."""
        return sql.Identifier(self.name)

    @property
    def listed(self) -> sql.Composable:
        """What a SELECT lists so that the column goes by its own name."""
        return sql.Identifier(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedColumn(Column):
    """A column in whose place something else arrives: ``expression``, which the source computes."""

    expression: sql.Composable = field(hash=False)  # SQL composed with psycopg has no hash

    @property
    def value(self) -> sql.Composable:
        """The source's expression for its value."""
        return self.expression

    @property
    def listed(self) -> sql.Composable:
        """What a SELECT lists so that the column goes by its own name.

        So sorting by that name sorts by what arrives, and not by what is hidden.
        """
        return self.expression + sql.SQL(" AS ") + sql.Identifier(self.name)


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
    """A primary key, unique, exclusion or check constraint; ``definition`` as ADD CONSTRAINT takes it.

    ``index`` is the definition, from USING on, of the index that can be built first and then be taken for it.
    """

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None
    index: str | None = None

    @property
    def has_index(self) -> bool:
        """Whether an index enforces it."""
        return not self.definition.startswith("CHECK")

    @property
    def definition_using_index(self) -> str:
        """The definition that takes an index of the constraint's own name for it."""
        kind = "PRIMARY KEY" if self.definition.startswith("PRIMARY KEY") else "UNIQUE"
        deferral = re.search(r" DEFERRABLE( INITIALLY DEFERRED)?$", self.definition)
        return f"{kind} USING INDEX {sql.Identifier(self.name).as_string(None)}{deferral[0] if deferral else ''}"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Extended statistics; ``definition`` is what stands between the name and FROM."""

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A table that holds rows of another one: that table itself, a partition, or an inheritance child (``parts.sql``).

    ``pages`` are those of its heap, ``bytes`` its size with TOAST.
    """

    relation: Relation
    pages: int = 0
    bytes: int = 0
    may_cut: bool = True


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of the source as its catalog describes it. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    Nothing loads it: ``shape.shaped`` makes the ``Table`` of it that arrives.
    """

    source: Relation
    comment: str | None = None
    storage: tuple[str, ...] = ()
    bytes: int = 0
    rows: int = 0
    columns: tuple[Column, ...] = field(default=(), repr=False)
    indexes: tuple[Index, ...] = field(default=(), repr=False)
    constraints: tuple[Constraint, ...] = field(default=(), repr=False)
    statistics: tuple[Statistics, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return str(self.source)
