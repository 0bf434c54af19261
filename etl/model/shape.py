"""The options of a table, and the table that arrives after they are applied. Pure policy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from etl.model import base, gate
from etl.model import mask as masks
from etl.model.base import FullEvery
from etl.model.catalog import Column, Constraint, Index, MaskedColumn, SourceTable, Statistics
from etl.model.gate import Rule, Shrink
from etl.model.mask import Mask
from etl.model.name import MAX_NAME_BYTES, Relation, TargetName
from etl.model.selection import Selection
from etl.model.split import Split
from etl.model.table import Table
from etl.model.wording import shown

_OURS = ("pg_", "etl_staging")  # prefixes of the schemas of PostgreSQL and of this tool


@dataclass(frozen=True, slots=True)
class Rename:
    """The name under which a table arrives; a part that is None is as in the source."""

    schema: str | None
    name: str | None

    def of(self, table: Relation) -> TargetName:
        """The name of the live table."""
        return TargetName(self.schema or table.schema, self.name or table.name)


def _rename(text: object) -> Rename:
    """Reads ``rename``: a table's name as in TABLES, with ``*`` for a part that does not change."""
    if isinstance(text, Rename):
        return text
    if not isinstance(text, str):
        raise ValueError(f'is {shown(text)}; write a name in quotes, such as rename = "sales.bill"')  # noqa: TRY004
    patterns = Selection.parse(text).patterns
    parts = (patterns[0].schema, patterns[0].name)
    if len(patterns) > 1 or patterns[0].excludes or any(part.is_glob and part.text != "*" for part in parts):
        raise ValueError(f'is {shown(text)}; write schema.table, or "schema.*" where the name stays')
    schema, name = (None if part.is_glob else part.text for part in parts)
    if schema is not None and (schema in {"etl", "information_schema"} or schema.startswith(_OURS)):
        raise ValueError(f"names the schema {schema!r}, which is not for tables of yours; name another one")
    return Rename(schema, name)


def _together(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'is {shown(text)}; write a name that the tables share, such as together = "shop"')
    return text.strip()


def _condition(text: object) -> object:
    if isinstance(text, str) and not text.strip():
        raise ValueError('is empty, and would let every row through; write "true" if that is meant')
    return text


class TableOptions(BaseModel):
    """The options of a section; an option is None if the section does not have it."""

    # the validator is built for the first options, because that takes longer than the import of this module
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    columns: list[str] | None = None
    """The only columns to copy."""
    exclude: list[str] | None = None
    """Columns not to copy."""
    where: Annotated[str | None, BeforeValidator(_condition)] = None
    """A condition on the rows to copy, in the source's SQL."""
    publish: Literal["swap", "in-place"] | None = None
    """Whether the staging table becomes the live table (the default), or its rows replace the live table's rows."""
    triggers: Literal["refuse", "fire"] | None = None
    """Whether a table that is published in place may not have triggers and rules (the default), or they fire."""
    rename: Annotated[Rename, BeforeValidator(_rename)] | None = None
    """The live table's schema and name."""
    order_by: list[str] | None = None
    """Expressions by which the source sorts the rows."""
    indexes: Literal["source", "target", "both", "none"] | None = None
    """The indexes that the table gets: the source's, those added in the target, both (the default), or none."""
    unbuildable_indexes: Literal["fail", "skip"] | None = None
    """Whether an index that the target cannot build is an error (the default), or is left out."""
    unbuildable_checks: Literal["fail", "skip"] | None = None
    """Whether a check that the target cannot make is an error (the default), or is left out."""
    load: Literal["full", "auto", "delta"] | None = None
    """ETL_LOAD for this table."""
    full_every: Annotated[FullEvery, BeforeValidator(FullEvery.parse)] | None = None
    """After how many nights the table is loaded whole again; 30 by default."""
    proof_nights: Annotated[int, BeforeValidator(base.proof_nights)] | None = None
    """Within how many nights all rows are hashed on both sides, if loads copy changes; 14 by default, 0 is never."""
    pure: bool | None = None
    """Whether the options' SQL gives the same for each row that has not changed, also where that cannot be seen."""
    verify: Literal["rows", "checksum", "none"] | None = None
    """ETL_VERIFY for this table."""
    shrink_at_most: Annotated[Shrink, BeforeValidator(Shrink.parse)] | None = None
    """The part of its rows that the table may lose from one publish to the next; half of them by default."""
    deleted_at_most: Annotated[Shrink, BeforeValidator(Shrink.parse)] | None = None
    """The part of its rows that a load of changes may delete; all of them by default."""
    rows_min: Annotated[int, BeforeValidator(gate.rows_min)] | None = None
    """The rows that the table must have to be published; 0 by default."""
    unlogged: bool | None = None
    """Whether the live table is UNLOGGED."""
    split: Annotated[Split, BeforeValidator(Split.parse)] | None = None
    """Whether and how the table is cut into page ranges (experimental: docs/guarantees.md)."""
    mask: dict[str, Annotated[Mask, BeforeValidator(masks.parse)]] | None = None
    """The masks of columns, by column."""
    unmask: list[str] | None = None
    """Columns that may arrive unmasked although they were masked before."""
    together: Annotated[str, BeforeValidator(_together)] | None = None
    """The name of a group of tables that ``etl plan`` assigns to the same shard."""
    note: str | None = None
    """What readers should know of the table, such as its owner: the column ``note`` of ``etl.freshness``."""
    on_new_column: Literal["copy", "fail", "ignore"] | None = None
    """Whether a column that neither ``columns`` nor ``exclude`` nor ``mask`` names is copied, fails, or is ignored."""

    def live(self, table: Relation) -> TargetName:
        """The name of a source table's live table."""
        return (self.rename or Rename(None, None)).of(table)

    @property
    def without_target_indexes(self) -> bool:
        """Whether the table gets no index that somebody has added in the target."""
        return self.indexes in {"source", "none"}

    @property
    def rule(self) -> Rule:
        """The rule by which the gate judges the table's rows."""
        default = Rule()
        return Rule(self.shrink_at_most or default.shrink, self.rows_min or default.rows_min, self.deleted_at_most)

    def over(self, other: TableOptions) -> TableOptions:
        """These options, and those of ``other`` that are not set here."""
        options = {key: getattr(self, key) for key in self.model_fields_set}
        if self.mask is not None:
            options["mask"] = (other.mask or {}) | self.mask
        return other.model_copy(update=options)

    @property
    def classified(self) -> set[str]:
        """The columns that ``columns``, ``exclude`` or ``mask`` names; ``on_new_column`` is about all others."""
        return {*(self.columns or []), *(self.exclude or []), *(self.mask or {})}

    @property
    def masked(self) -> dict[str, Mask]:
        """The masks of columns, without the mask ``none``."""
        return {name: mask for name, mask in (self.mask or {}).items() if mask.kind != "none"}

    @property
    def has_sql(self) -> bool:
        """Whether these options add SQL to a table's SELECT."""
        return bool(self.where or self.order_by or self.masked)

    def takes(self, column: Column) -> bool:
        """Whether a column is to be copied."""
        chosen = self.columns is None or column.name in self.columns
        known = self.on_new_column in {None, "copy"} or column.name in self.classified
        return chosen and known and column.name not in (self.exclude or [])

    def unclassified(self, table: SourceTable) -> list[str]:
        """The names of the columns that are not classified, if ``on_new_column`` is ``fail``."""
        must_classify = self.on_new_column == "fail"
        return [column.name for column in table.columns if must_classify and column.name not in self.classified]


NO_OPTIONS = TableOptions.model_construct()
"""The options of a section that has none; nothing is validated."""


def shaped(table: SourceTable, options: TableOptions) -> Table:
    """Applies the options to a table of the catalog, and returns the table that arrives.

    Indexes, constraints and statistics that use an excluded column are left out. So are those that a mask could
    violate: a check or an exclusion constraint on a masked column, and a unique index or a key on a column whose mask
    may give different values the same result.
    """
    masked = options.masked
    kept = tuple(_masked(column, masked.get(column.name)) for column in table.columns if options.takes(column))
    names = {column.name for column in kept}
    mixed = {name for name, mask in masked.items() if not mask.keeps_apart}
    has_indexes = options.indexes not in {"target", "none"}
    live = options.live(table.source)
    rename = partial(_renamed, table.source.name, live.name)
    indexes = (index for index in table.indexes if has_indexes and _fits(index, names, mixed))
    constraints = (
        constraint
        for constraint in table.constraints
        if names.issuperset(constraint.columns)
        and _holds(constraint, masked, mixed)
        and (has_indexes or not constraint.has_index)
    )
    statistics = (
        extended
        for extended in table.statistics
        if names.issuperset(extended.columns) and masked.keys().isdisjoint(extended.columns)
    )
    return Table(
        source=table.source,
        live=live,
        comment=table.comment,
        storage=table.storage,
        bytes=table.bytes,
        rows=table.rows,
        columns=kept,
        indexes=tuple(map(rename, indexes)),
        constraints=tuple(map(rename, constraints)),
        statistics=tuple(map(rename, statistics)),
        where=options.where,
        order_by=tuple(options.order_by or ()),
        pure=options.pure or False,
        unlogged=options.unlogged or False,
        unclassified=tuple(options.unclassified(table)),
    )


def _masked(column: Column, mask: Mask | None) -> Column:
    if mask is None:
        return column
    as_text = mask.gives_text or column.names_objects  # the oids of the source's objects mean others in the target
    parts = {field.name: getattr(column, field.name) for field in fields(column)}
    parts["not_null"] = column.not_null and mask.kind != "null"
    if as_text:
        parts |= {"type": "text", "user_type": None, "storage": None, "compression": None}
        parts |= {"binary": True, "hashed_as": None}
    expression = masks.expression(mask, column.name, parts["type"])
    return MaskedColumn(**parts, expression=expression, is_sql=mask.kind == "sql")


def _fits(index: Index, names: set[str], mixed: set[str]) -> bool:
    return names.issuperset(index.columns) and not (index.unique and mixed.intersection(index.columns))


def _holds(constraint: Constraint, masked: Collection[str], mixed: set[str]) -> bool:
    """Whether masked values cannot violate a constraint."""
    if constraint.definition.startswith(("CHECK", "EXCLUDE")):
        return not set(masked).intersection(constraint.columns)
    return mixed.isdisjoint(constraint.columns)


_Named = TypeVar("_Named", Index, Constraint, Statistics)


def _renamed(was: str, now: str, part: _Named) -> _Named:
    """An index, constraint or statistics object of a renamed table: the table's new name replaces the old in its name.

    The names of indexes are unique within a schema, and ``orders_pkey`` of two schemas may arrive in the same schema.
    """
    return replace(part, name=renamed(was, now, part.name))


def renamed(was: str, now: str, name: str) -> str:
    """The name of an index, constraint or statistics object after its table was renamed."""
    return name if was == now or not name.startswith(was) else _cut(now, name.removeprefix(was))


def _cut(name: str, suffix: str) -> str:
    room = MAX_NAME_BYTES - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
