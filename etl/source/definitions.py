"""What a table's values depend on beside its rows, as one digest: if it is the same, an unchanged row is the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import sha256
from typing import Any

from etl.model.catalog import Constraint, Index
from etl.model.mask import fingerprint
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query, text
from etl.source.purity import Judged, judge

_ESTIMATES = ("bytes", "rows", "ranges", "definition", "obstacle", "leaves", "tablespace", "method")
"""The fields of a table that say nothing about its values; those of a leaf's rows depend on the leaf's own digest."""


@dataclass(frozen=True, slots=True)
class _Definition:
    """A row of ``definitions.sql``."""

    oid: int
    obstacle: str | None
    facts: str
    blurred: list[str]
    leaves: str


async def add(source: Source, tables: Sequence[Table]) -> list[Table]:
    """The tables with their ``definition``, their ``obstacle`` and their ``leaves``."""
    if not tables:
        return []
    rows = await source.fetch_prepared("definitions", source_query("definitions"), [table.oid for table in tables])
    found = {row["oid"]: _Definition(**dict(row)) for row in rows}
    key = await source.fetchval(text(fingerprint())) if any(table.masked for table in tables) else None
    return [await _defined(source, table, found[table.oid], key) for table in tables if table.oid in found]


async def _defined(source: Source, table: Table, found: _Definition, key: str | None) -> Table:
    """A table with its definition; ``key`` stands for the key of the masks."""
    judged = await judge(source, table) if table.has_sql and not found.obstacle else Judged()
    facts = [found.facts, judged.facts, key if table.masked else None]
    leaves = sorted((int(oid), digest) for oid, digest in json.loads(found.leaves).items())
    return replace(
        table, definition=_digest(table, facts), obstacle=_obstacle(table, found, judged), leaves=tuple(leaves)
    )


def _obstacle(table: Table, found: _Definition, judged: Judged) -> str | None:
    """The reason why no load of a table may be a delta, or None."""
    if found.obstacle:
        return found.obstacle
    if any(column.names_objects for column in table.columns):
        return "values of it are names of objects, which may be renamed"
    if judged.impure:
        return f"the options' SQL {judged.impure}"
    if not any(set(columns).isdisjoint(found.blurred) for columns in keys(table)):
        return "no primary key or unique constraint tells its rows apart"
    return None


def keys(table: Table) -> list[tuple[str, ...]]:
    """The columns of each key that tells all rows apart at any time: unique, of plain columns, none of them NULL."""
    given = {column.name for column in table.columns if column.not_null}
    found = [one.columns for one in table.constraints if _is_key(one)]
    found += [one.columns for one in table.indexes if _is_unique(one)]
    return [columns for columns in found if columns and given.issuperset(columns)]


def _is_key(constraint: Constraint) -> bool:
    definition = constraint.definition
    weak = ("DEFERRABLE", "WITHOUT OVERLAPS", "NOT ENFORCED", "NOT VALID", "INCLUDE")
    return definition.startswith(("PRIMARY KEY", "UNIQUE (")) and not any(word in definition for word in weak)


def _is_unique(index: Index) -> bool:
    weak = (" WHERE ", " INCLUDE ", "((")
    return index.unique and index.definition.startswith("USING btree") and not any(w in index.definition for w in weak)


def shape(table: Table, *, without_target_indexes: bool) -> str:
    """A digest of what a load that replaces the live table brings beside the rows, and of what it takes away."""
    return _digest(replace(table, withheld=(), refused=(), unclassified=()), [str(without_target_indexes)])


def _digest(table: Table, facts: Sequence[str | None]) -> str:
    described = {name: value for name, value in _fields(table).items() if name not in _ESTIMATES}
    document = json.dumps([described, *facts], default=_plain, sort_keys=True)
    return sha256(document.encode()).hexdigest()


def _plain(value: object) -> object:
    return _fields(value) if is_dataclass(value) else str(value)


def _fields(value: Any) -> dict[str, object]:
    """The same as asdict(), without its copies of all that is below, which took three quarters of a digest's time."""
    return {one.name: getattr(value, one.name) for one in fields(value)}
