"""A table of the source: its columns and all that comes with them, as the source has it and as it will arrive."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from psycopg import sql

from etl.model.selection import Relation, label


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its DDL's parts, whether its binary form may travel, and what it is cast to for the checksum.

    ``column_types.sql`` says when and why; ``names_objects``: whether its values hold oids of the source's own objects.
    ``user_type`` is its type's schema and name where that is not PostgreSQL's own; ``expression`` is what the source
    computes in the column's place, or None for the column itself.
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
    expression: sql.Composable | None = field(default=None, hash=False)  # SQL composed with psycopg has no hash

    @property
    def value(self) -> sql.Composable:
        """What the source's SELECT gives for it."""
        return self.expression or sql.Identifier(self.name)


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
class Part:
    """A table that holds rows of a big one: itself, a partition, or an inheritance child; see ``parts.sql``."""

    schema: str
    name: str
    kind: str = "r"
    pages: int = 0
    bytes: int = 0
    may_cut: bool = True

    @property
    def relation(self) -> Relation:
        """The name alone."""
        return Relation(self.schema, self.name, self.kind)


@dataclass(frozen=True, slots=True)
class PageRange:
    """The rows of one part that lie on the heap's pages from ``first`` up to, not including, ``end``.

    Either is None where the range is open: the last one takes whatever comes behind. ``bytes`` is an estimate.
    """

    part: Part
    first: int | None = None
    end: int | None = None
    bytes: int = 0

    @property
    def conditions(self) -> tuple[str, ...]:
        """What a row's place must be, as SQL; served by a TID range scan since PostgreSQL 14."""
        low = () if self.first is None else (f"ctid >= '({self.first},0)'",)
        return low if self.end is None else (*low, f"ctid < '({self.end},0)'")

    def __str__(self) -> str:
        pages = f" pages {self.first or 0} to {'the last' if self.end is None else self.end - 1}"
        return label(self.part.schema, self.part.name) + (pages if self.conditions else "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source, as it will arrive. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    ``where`` is a condition in the source's SQL on the rows to copy, or None for all of them; ``order_by`` are the
    expressions that they are sorted by. ``renamed`` is the name that it arrives under where that is not its own.
    ``unclassified`` are the columns for which nobody has said what they are, where somebody must; ``withheld`` those
    that were masked when they last arrived, and do not arrive now. ``ranges`` are the pieces that it is read in, none
    where it is read in one stream.
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
    statistics: tuple[Statistics, ...] = field(default=(), repr=False)
    where: str | None = None
    order_by: tuple[str, ...] = ()
    renamed: Relation | None = None
    unlogged: bool = False
    unclassified: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    ranges: tuple[PageRange, ...] = field(default=(), repr=False)

    @property
    def live(self) -> Relation:
        """The name of the live table, by which everything on the target goes."""
        return self.renamed or self.relation

    @property
    def is_binary(self) -> bool:
        """Whether every column can be copied in binary format."""
        return all(column.binary for column in self.columns)

    @property
    def has_sql(self) -> bool:
        """Whether the options have put SQL of their own into its SELECT."""
        return bool(self.where or self.order_by or any(column.expression for column in self.columns))

    @property
    def masked(self) -> tuple[str, ...]:
        """The columns in whose place something else arrives."""
        return tuple(column.name for column in self.columns if column.expression)

    @property
    def relation(self) -> Relation:
        """The name in the source alone."""
        return Relation(self.schema, self.name)

    @property
    def carried(self) -> tuple[str, ...]:
        """The names of what comes from the source with the columns: indexes, constraints, extended statistics."""
        indexes = (index.name for index in self.indexes)
        constraints = (constraint.name for constraint in self.constraints)
        return (*indexes, *constraints, *(statistics.name for statistics in self.statistics))

    def select(self, expressions: sql.Composable, within: PageRange | None = None) -> sql.Composed:
        """Gives the source's SELECT over the rows to copy, those of children and partitions included.

        With a page range, over its rows alone; its part goes by the table's name, as the options' SQL may use it.
        """
        name: sql.Composable = sql.Identifier(self.schema, self.name)
        if within is not None:
            part = sql.Identifier(within.part.schema, within.part.name)
            name = sql.SQL("ONLY {} AS {}").format(part, sql.Identifier(self.name))
        # a line of its own for the bracket: the condition may end in a comment
        conditions = [*(within.conditions if within else ()), *([f"({self.where}\n)"] if self.where else [])]
        condition = sql.SQL(f" WHERE {' AND '.join(conditions)}" if conditions else "")
        return sql.SQL("SELECT {} FROM {}{}").format(expressions, name, condition)

    def copied(self, within: PageRange | None = None) -> sql.Composed:
        """Gives the SELECT of what is to arrive: each row, each column, in order; or of a page range's.

        A masked column goes by its own name, so that sorting by it sorts by what arrives, and not by what is hidden.
        """
        columns = (
            column.value + sql.SQL(" AS ") + sql.Identifier(column.name) if column.expression else column.value
            for column in self.columns
        )
        order = sql.SQL(f" ORDER BY {', '.join(self.order_by)}" if self.order_by else "")
        return self.select(sql.SQL(", ").join(columns), within) + order

    @property
    def separable_indexes(self) -> tuple[Index, ...]:
        """The indexes that can be built by themselves, side by side: unique ones first, which may fail."""
        own = (Index(one.name, True, one.index) for one in self.constraints if one.index is not None)
        return (*own, *self.indexes)

    def without(self, names: Collection[str]) -> Table:
        """Gives the table without the indexes and constraints named."""
        return replace(
            self,
            indexes=tuple(index for index in self.indexes if index.name not in names),
            constraints=tuple(constraint for constraint in self.constraints if constraint.name not in names),
        )

    def __str__(self) -> str:
        return label(self.schema, self.name)
