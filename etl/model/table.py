"""A table as it will arrive: what the source's catalog describes, as its options want it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from psycopg import sql

from etl.model.catalog import Column, Constraint, Index, MaskedColumn, Member, Statistics
from etl.model.name import Relation, TargetName


@dataclass(frozen=True, slots=True)
class PageRange:
    """The rows of one member that lie on the heap's pages from ``first`` up to, not including, ``end``.

    Either is None where the range is open: the last one takes whatever comes behind. ``bytes`` is an estimate.
    """

    member: Member
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
        return str(self.member.relation) + (pages if self.conditions else "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source, as it will arrive. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    ``live`` is the name of the live table, by which everything on the target goes. ``where`` is a condition in the
    source's SQL on the rows to copy, or None for all of them; ``order_by`` are the expressions that sort them.
    ``unclassified`` are the columns for which nobody has said what they are, where somebody must; ``withheld`` those
    that were masked when they last arrived, and do not arrive now. ``ranges`` are the pieces that it is read in, none
    where it is read in one stream.
    """

    source: Relation
    live: TargetName
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
    unlogged: bool = False
    unclassified: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    ranges: tuple[PageRange, ...] = field(default=(), repr=False)

    @property
    def staged(self) -> TargetName:
        """The name of its staging table."""
        return self.live.staging

    @property
    def oid(self) -> int:
        """Its number in the source's catalog."""
        return self.source.oid

    @property
    def is_renamed(self) -> bool:
        """Whether it arrives under another name than its own."""
        return (self.live.schema, self.live.name) != (self.source.schema, self.source.name)

    @property
    def is_binary(self) -> bool:
        """Whether every column can be copied in binary format."""
        return all(column.binary for column in self.columns)

    @property
    def has_sql(self) -> bool:
        """Whether the options have put SQL of their own into its SELECT."""
        return bool(self.where or self.order_by or self.masked)

    @property
    def masked(self) -> tuple[str, ...]:
        """The columns in whose place something else arrives."""
        return tuple(column.name for column in self.columns if isinstance(column, MaskedColumn))

    @property
    def carried(self) -> tuple[str, ...]:
        """The names of what comes from the source with the columns: indexes, constraints, extended statistics."""
        indexes = (index.name for index in self.indexes)
        constraints = (constraint.name for constraint in self.constraints)
        return (*indexes, *constraints, *(statistics.name for statistics in self.statistics))

    def select(self, expressions: sql.Composable, within: PageRange | None = None) -> sql.Composed:
        """The source's SELECT over the rows to copy, those of children and partitions included.

        With a page range, over its rows alone; its member goes by the table's name, as the options' SQL may use it.
        """
        name: sql.Composable = self.source.identifier
        if within is not None:
            member = within.member.relation.identifier
            name = sql.SQL("ONLY {} AS {}").format(member, sql.Identifier(self.source.name))
        # a line of its own for the bracket: the condition may end in a comment
        conditions = [*(within.conditions if within else ()), *([f"({self.where}\n)"] if self.where else [])]
        condition = sql.SQL(f" WHERE {' AND '.join(conditions)}" if conditions else "")
        return sql.SQL("SELECT {} FROM {}{}").format(expressions, name, condition)

    def copied(self, within: PageRange | None = None) -> sql.Composed:
        """The SELECT of what is to arrive: each row, each column, in order; or of a page range's rows."""
        columns = (column.listed for column in self.columns)
        order = sql.SQL(f" ORDER BY {', '.join(self.order_by)}" if self.order_by else "")
        return self.select(sql.SQL(", ").join(columns), within) + order

    @property
    def separable_indexes(self) -> tuple[Index, ...]:
        """The indexes that can be built by themselves, side by side: unique ones first, which may fail."""
        own = (Index(one.name, True, one.index) for one in self.constraints if one.index is not None)
        return (*own, *self.indexes)

    def without(self, names: Collection[str]) -> Table:
        """The table without the indexes and constraints named."""
        return replace(
            self,
            indexes=tuple(index for index in self.indexes if index.name not in names),
            constraints=tuple(constraint for constraint in self.constraints if constraint.name not in names),
        )

    def __str__(self) -> str:
        return str(self.source)
