"""A table of the source as its catalog describes it, before any option has been applied."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from psycopg import sql

from etl.model.name import Relation


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the parts of its DDL, and how its values are copied and hashed.

    ``binary`` says whether COPY may send the values in binary format, ``names_objects`` whether they contain oids of
    the source's objects; ``hashed_as`` is the type to which the checksum casts them (``column_types.sql`` has the
    reasons). ``user_type`` is the schema and the name of the column's type, if it is not a type of PostgreSQL's.
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
        """The SQL expression that the source computes for the column."""
        return sql.Identifier(self.name)

    @property
    def listed(self) -> sql.Composable:
        """The column's item in a SELECT list, under the column's name."""
        return sql.Identifier(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedColumn(Column):
    """A column with a mask: the target receives the value of ``expression``, which the source computes.

    ``is_sql`` says that the option gives the expression itself.
    """

    expression: sql.Composable = field(hash=False)  # SQL composed with psycopg has no hash
    is_sql: bool = False

    @property
    def value(self) -> sql.Composable:
        """The SQL expression that the source computes for the column."""
        return self.expression

    @property
    def listed(self) -> sql.Composable:
        """The column's item in a SELECT list, under the column's name.

        An ORDER BY of that name therefore sorts by the masked value, and does not reveal the order of the real values.
        """
        return self.expression + sql.SQL(" AS ") + sql.Identifier(self.name)


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no constraint owns; ``definition`` starts at USING, ``columns`` are those that it uses."""

    name: str
    unique: bool
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A primary key, unique, exclusion or check constraint; ``definition`` as ADD CONSTRAINT takes it.

    ``index`` is the definition, from USING on, of an index that can be built first, if ADD CONSTRAINT ... USING INDEX
    can then turn that index into the constraint.
    """

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None
    index: str | None = None

    @property
    def has_index(self) -> bool:
        """Whether an index enforces the constraint."""
        return not self.definition.startswith("CHECK")

    @property
    def definition_using_index(self) -> str:
        """The definition that uses the existing index of the constraint's name."""
        kind = "PRIMARY KEY" if self.definition.startswith("PRIMARY KEY") else "UNIQUE"
        deferral = re.search(r" DEFERRABLE( INITIALLY DEFERRED)?$", self.definition)
        return f"{kind} USING INDEX {sql.Identifier(self.name).as_string(None)}{deferral[0] if deferral else ''}"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Extended statistics; ``definition`` is the part of CREATE STATISTICS between the name and FROM."""

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A relation that stores rows of a table: the table itself, a partition, or an inheritance child (``parts.sql``).

    ``pages`` is the number of pages of its heap, ``bytes`` its size with TOAST. ``may_cut`` says whether page ranges
    may read it by its own name.
    """

    relation: Relation
    pages: int = 0
    bytes: int = 0
    may_cut: bool = True


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table of the source as its catalog describes it. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    It is not loaded as it is: ``shape.shaped`` applies the options, and returns the ``Table`` to load.
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
