"""One table's options, and the shape that they give it. Pure policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from etl.model import mask as masks
from etl.model.catalog import Column, Constraint, Index, MaskedColumn, SourceTable, Statistics
from etl.model.mask import Mask
from etl.model.name import MAX_NAME_BYTES, Relation, TargetName
from etl.model.selection import Selection
from etl.model.split import Split
from etl.model.table import Table

_OURS = ("pg_", "etl_staging")  # schemas that are PostgreSQL's, or this tool's own


@dataclass(frozen=True, slots=True)
class Rename:
    """The name under which a table arrives; a part that is None is the source's own."""

    schema: str | None
    name: str | None

    def of(self, table: Relation) -> TargetName:
        """The name of the live table."""
        return TargetName(self.schema or table.schema, self.name or table.name)


def _rename(text: object) -> Rename:
    """Reads ``rename``: a table's name as in TABLES, or ``*`` for a part that stays as it is."""
    if isinstance(text, Rename):
        return text
    patterns = Selection.parse(str(text)).patterns
    parts = (patterns[0].schema, patterns[0].name)
    if len(patterns) > 1 or patterns[0].excludes or any(part.is_glob and part.text != "*" for part in parts):
        raise ValueError(f'is {text!r}; write schema.table, or "schema.*" where the name stays')
    schema, name = (None if part.is_glob else part.text for part in parts)
    if schema is not None and (schema in {"etl", "information_schema"} or schema.startswith(_OURS)):
        raise ValueError(f"names the schema {schema!r}, which is not for tables of yours")
    return Rename(schema, name)


def _together(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"is {text!r}; write a name that the tables share")
    return text.strip()


def _condition(text: object) -> object:
    if isinstance(text, str) and not text.strip():
        raise ValueError("is empty, and would let every row through; write true where that is meant")
    return text


class TableOptions(BaseModel):
    """The options of one section; None is "not said"."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: list[str] | None = None
    """The only columns to copy."""
    exclude: list[str] | None = None
    """Columns not to copy."""
    where: Annotated[str | None, BeforeValidator(_condition)] = None
    """A condition on the rows to copy, in the source's SQL."""
    publish: Literal["swap", "in-place"] | None = None
    """Whether the staging table becomes the live one (the default), or its rows replace the live one's."""
    rename: Annotated[Rename, BeforeValidator(_rename)] | None = None
    """The live table's schema and name."""
    order_by: list[str] | None = None
    """Expressions by which the rows are sorted on their way."""
    indexes: Literal["source", "target", "both", "none"] | None = None
    """Which indexes the table gets: the source's, those that the reporting side added, both (the default), none."""
    unbuildable_indexes: Literal["fail", "skip"] | None = None
    """What becomes of an index that the target cannot build: an error (the default), or it is left out."""
    verify: Literal["rows", "checksum", "none"] | None = None
    """ETL_VERIFY for this table."""
    unlogged: bool | None = None
    """Whether the live table is UNLOGGED."""
    split: Annotated[Split, BeforeValidator(Split.parse)] | None = None
    """Whether and how the table is cut into page ranges (experimental: docs/guarantees.md)."""
    mask: dict[str, Annotated[Mask, BeforeValidator(masks.parse)]] | None = None
    """What stands in a column's place."""
    unmask: list[str] | None = None
    """Columns that may arrive in clear though they were masked before."""
    together: Annotated[str, BeforeValidator(_together)] | None = None
    """The name of a group of tables that ``etl plan`` leaves in one shard."""
    on_new_column: Literal["copy", "fail", "ignore"] | None = None
    """What becomes of a column that neither ``columns`` nor ``exclude`` nor ``mask`` names."""

    def live(self, table: Relation) -> TargetName:
        """The name of a source table's live table."""
        return (self.rename or Rename(None, None)).of(table)

    @property
    def without_target_indexes(self) -> bool:
        """Whether the table gets no index that the reporting side has added."""
        return self.indexes in {"source", "none"}

    def over(self, other: TableOptions) -> TableOptions:
        """Gives these options with ``other`` where nothing is said here."""
        said = {key: getattr(self, key) for key in self.model_fields_set}
        if self.mask is not None:
            said["mask"] = (other.mask or {}) | self.mask
        return other.model_copy(update=said)

    @property
    def classified(self) -> set[str]:
        """The columns of which somebody has said what they are."""
        return {*(self.columns or []), *(self.exclude or []), *(self.mask or {})}

    @property
    def masked(self) -> dict[str, Mask]:
        """The columns in whose place something else stands."""
        return {name: mask for name, mask in (self.mask or {}).items() if mask.kind != "none"}

    @property
    def has_sql(self) -> bool:
        """Whether a table gets SQL of these options into its SELECT."""
        return bool(self.where or self.order_by or self.masked)

    def takes(self, column: Column) -> bool:
        """Tells whether a column is to be copied."""
        chosen = self.columns is None or column.name in self.columns
        known = self.on_new_column in {None, "copy"} or column.name in self.classified
        return chosen and known and column.name not in (self.exclude or [])

    def unclassified(self, table: SourceTable) -> list[str]:
        """Names the columns of which somebody should have said what they are, and has not."""
        must_classify = self.on_new_column == "fail"
        return [column.name for column in table.columns if must_classify and column.name not in self.classified]


def faults(table: SourceTable, options: TableOptions) -> Iterator[str]:
    """Names every column that the options name and the table does not have, or that a mask does not go with.

    And those that cannot be copied, unless the options leave them out or mask them. And says where they leave it none:
    a table without columns is nothing that anybody asks for.
    """
    columns = {column.name: column for column in table.columns}
    for key in ("columns", "exclude", "mask", "unmask"):
        for name in getattr(options, key) or []:
            if name not in columns:
                yield f"options of {table}: {key} names {name!r}, which is no column of it"
    for name, mask in options.masked.items():
        if name in columns and (fault := masks.fault(mask, columns[name].type, columns)):
            yield f"options of {table}: mask.{name} {fault}"
    yield from (
        f"options of {table}: unmask names {name!r}, which has a mask; take it out of one of them"
        for name in options.unmask or []
        if name in options.masked
    )
    yield from _uncopiable(table, options)
    all_known = columns.keys() >= options.classified
    if columns and all_known and not any(map(options.takes, table.columns)) and not options.unclassified(table):
        yield f"options of {table}: no column is left of it; name one in columns, or take one out of exclude"


def _uncopiable(table: SourceTable, options: TableOptions) -> Iterator[str]:
    for column in table.columns:
        if column.names_objects and options.takes(column) and column.name not in options.masked:
            yield (
                f"{table}: column {column.name} of type {column.type} holds numbers of the source's own objects, which"
                f' mean others in the target; exclude it, or mask it with "sql:{column.name}::text" to have its text'
            )


def shaped(table: SourceTable, options: TableOptions) -> Table:
    """The table that arrives, of one that the catalog describes, as its options have it.

    What rests on a column that is left out is left out with it, as is what a mask would make fail: a check or an
    exclusion constraint on a masked column, and a unique index where the mask does not keep values apart.
    """
    masked = options.masked
    kept = tuple(_masked(column, masked.get(column.name)) for column in table.columns if options.takes(column))
    names = {column.name for column in kept}
    mixed = {name for name, mask in masked.items() if not mask.keeps_apart}
    has_indexes = options.indexes not in {"target", "none"}
    live = options.live(table.source)
    own = partial(_renamed, table.source.name, live.name)
    indexes = (index for index in table.indexes if has_indexes and _fits(index, names, mixed))
    constraints = (
        one
        for one in table.constraints
        if names.issuperset(one.columns) and _holds(one, masked, mixed) and (has_indexes or not one.has_index)
    )
    statistics = (
        one for one in table.statistics if names.issuperset(one.columns) and masked.keys().isdisjoint(one.columns)
    )
    return Table(
        source=table.source,
        live=live,
        comment=table.comment,
        storage=table.storage,
        bytes=table.bytes,
        rows=table.rows,
        columns=kept,
        indexes=tuple(map(own, indexes)),
        constraints=tuple(map(own, constraints)),
        statistics=tuple(map(own, statistics)),
        where=options.where,
        order_by=tuple(options.order_by or ()),
        unlogged=options.unlogged or False,
        unclassified=tuple(options.unclassified(table)),
    )


def _masked(column: Column, mask: Mask | None) -> Column:
    if mask is None:
        return column
    as_text = mask.gives_text or column.names_objects  # whose type means something else in the target
    said = {field.name: getattr(column, field.name) for field in fields(column)}
    said["not_null"] = column.not_null and mask.kind != "null"
    if as_text:
        said |= {"type": "text", "user_type": None, "storage": None, "compression": None}
        said |= {"binary": True, "hashed_as": None}
    return MaskedColumn(**said, expression=masks.expression(mask, column.name, said["type"]))


def _fits(index: Index, names: set[str], mixed: set[str]) -> bool:
    return names.issuperset(index.columns) and not (index.unique and mixed.intersection(index.columns))


def _holds(constraint: Constraint, masked: Collection[str], mixed: set[str]) -> bool:
    """Tells whether a constraint still makes sense on masked values."""
    if constraint.definition.startswith(("CHECK", "EXCLUDE")):
        return not set(masked).intersection(constraint.columns)
    return mixed.isdisjoint(constraint.columns)


_Named = TypeVar("_Named", Index, Constraint, Statistics)


def _renamed(was: str, now: str, one: _Named) -> _Named:
    """An index, constraint or statistics object of a renamed table, under a name of its own where it bears the table's.

    Names of indexes are shared by a whole schema, and ``orders_pkey`` of two schemas may arrive in one.
    """
    return replace(one, name=_cut(now, one.name.removeprefix(was))) if one.name.startswith(was) and was != now else one


def _cut(name: str, suffix: str) -> str:
    room = MAX_NAME_BYTES - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
