"""A table as it will arrive: the table that the source's catalog describes, after the options are applied."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from hashlib import sha256

from psycopg import sql

from etl.model.catalog import Column, Constraint, Index, MaskedColumn, Member, Statistics
from etl.model.name import Relation, TargetName


@dataclass(frozen=True, slots=True)
class PageRange:
    """The rows of a member on the heap's pages from ``first`` up to, but not including, ``end``.

    A bound that is None is open: the last range has no end, so it includes pages that are added meanwhile. ``bytes`` is
    an estimate.
    """

    member: Member
    first: int | None = None
    end: int | None = None
    bytes: int = 0

    @property
    def conditions(self) -> tuple[str, ...]:
        """The SQL conditions on a row's ctid; PostgreSQL 14 and later evaluate them with a TID range scan."""
        low = () if self.first is None else (f"ctid >= '({self.first},0)'",)
        return low if self.end is None else (*low, f"ctid < '({self.end},0)'")

    def __str__(self) -> str:
        pages = f" pages {self.first or 0} to {'the last' if self.end is None else self.end - 1}"
        return str(self.member.relation) + (pages if self.conditions else "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source, as it will arrive. ``bytes`` (heap + TOAST) and ``rows`` are estimates.

    ``live`` is the name of the live table. ``where`` is a condition in the source's SQL on the rows to copy, or None
    for all rows; ``order_by`` are the expressions that sort them; ``pure`` says that this SQL depends on a row's values
    alone. ``unclassified`` are the columns that no option
    names, if ``on_new_column`` is ``fail``. ``refused`` are the reasons why columns cannot arrive. ``withheld`` are the
    columns that were masked when they were last copied, and are not copied now. ``ranges`` are the page ranges in which
    the table is read; it is empty if the table is read in one stream. ``tablespace`` and ``method`` (the table access
    method) are those of the live table, if they are not the target's defaults. ``definition`` is the digest of all that
    the values depend on beside the rows, if the load may be a delta; ``obstacle`` is the reason why no later load of
    this table may be one. ``leaves`` are the partitions that store rows of a partitioned table, by oid, each with the
    digest of its own columns.
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
    pure: bool = False
    unlogged: bool = False
    unclassified: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    ranges: tuple[PageRange, ...] = field(default=(), repr=False)
    tablespace: str | None = None
    method: str | None = None
    definition: str | None = None
    obstacle: str | None = None
    leaves: tuple[tuple[int, str], ...] = field(default=(), repr=False)

    @property
    def is_partitioned(self) -> bool:
        """Whether the rows are stored in partitions."""
        return self.source.kind == "p"

    @property
    def staged(self) -> TargetName:
        """The name of the staging table."""
        return self.live.staging

    @property
    def oid(self) -> int:
        """The table's oid in the source."""
        return self.source.oid

    @property
    def is_renamed(self) -> bool:
        """Whether the live table's name differs from the source's."""
        return (self.live.schema, self.live.name) != (self.source.schema, self.source.name)

    @property
    def is_binary(self) -> bool:
        """Whether every column can be copied in binary format."""
        return all(column.binary for column in self.columns)

    @property
    def has_sql(self) -> bool:
        """Whether the table's SELECT contains SQL from the options."""
        return bool(self.where or self.order_by or self.masked)

    @property
    def where_digest(self) -> str:
        """A digest of ``where``, by which the ledger tells that it has changed; empty without one."""
        return sha256(self.where.encode()).hexdigest()[:16] if self.where else ""

    @property
    def masked(self) -> tuple[str, ...]:
        """The names of the masked columns."""
        return tuple(column.name for column in self.columns if isinstance(column, MaskedColumn))

    @property
    def carried(self) -> tuple[str, ...]:
        """The names of the indexes, constraints and extended statistics that come from the source."""
        indexes = (index.name for index in self.indexes)
        constraints = (constraint.name for constraint in self.constraints)
        return (*indexes, *constraints, *(statistics.name for statistics in self.statistics))

    @property
    def checks(self) -> tuple[Constraint, ...]:
        """The constraints that no index enforces."""
        return tuple(constraint for constraint in self.constraints if not constraint.has_index)

    def select(
        self,
        expressions: sql.Composable,
        within: PageRange | None = None,
        *more: str,
        is_only: bool = False,
        share: float | None = None,
    ) -> sql.Composed:
        """The SELECT of the rows to copy, including those of inheritance children (unless ``is_only``) and partitions.

        ``more`` are conditions of this tool's own. With a page range, only the rows of the range. The range's member
        then has the table's name as its alias, because the options' SQL may use that name. With a ``share``, only the
        rows of so many of the pages, taken at random.
        """
        name: sql.Composable = sql.SQL("ONLY " if is_only else "") + self.source.identifier
        if within is not None:
            member = within.member.relation.identifier
            name = sql.SQL("ONLY {} AS {}").format(member, sql.Identifier(self.source.name))
        if share is not None:
            name += sql.SQL(f" TABLESAMPLE SYSTEM ({100 * share:.6f})")
        # the closing bracket is on a new line, because the condition may end in a comment
        ours = (*(within.conditions if within else ()), *more)
        conditions = [*ours, *([f"({self.where}\n)"] if self.where else [])]
        condition = sql.SQL(f" WHERE {' AND '.join(conditions)}" if conditions else "")
        return sql.SQL("SELECT {} FROM {}{}").format(expressions, name, condition)

    def copied(self, within: PageRange | None = None) -> sql.Composed:
        """The SELECT of the rows as they are to arrive, all columns and in order; or only those of a page range."""
        columns = (column.listed for column in self.columns)
        order = sql.SQL(f" ORDER BY {', '.join(self.order_by)}" if self.order_by else "")
        return self.select(sql.SQL(", ").join(columns), within) + order

    @property
    def separable_indexes(self) -> tuple[Index, ...]:
        """The indexes that can be built one by one, in parallel; those of constraints first, because they may fail."""
        of_constraints = (Index(key.name, True, key.index) for key in self.constraints if key.index is not None)
        return (*of_constraints, *self.indexes)

    def without(self, names: Collection[str]) -> Table:
        """The table without the indexes and constraints of these names."""
        return replace(
            self,
            indexes=tuple(index for index in self.indexes if index.name not in names),
            constraints=tuple(constraint for constraint in self.constraints if constraint.name not in names),
        )

    def __str__(self) -> str:
        return str(self.source)
