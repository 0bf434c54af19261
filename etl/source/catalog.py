"""The source's tables as its catalog describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from etl.model import limits
from etl.model.as_of import undated
from etl.model.catalog import Column, Constraint, Index, Member, SourceTable, Statistics
from etl.model.name import Relation
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query
from etl.sessions.stage import Stage


async def relations(source: Source) -> list[Relation]:
    """Lists every table and view of the source by name, except PostgreSQL's and this tool's own."""
    return [Relation(**dict(row)) for row in await source.fetch(source_query("relations"))]


async def sizes(source: Source, chosen: Sequence[Relation]) -> dict[int, tuple[int, int]]:
    """The bytes (heap and TOAST) and the number of indexes of each chosen relation, by oid."""
    async with source.transaction():
        await source.execute(f"SET LOCAL lock_timeout = '{limits.SIZE_LOCK_TIMEOUT}'")
        rows = await source.fetch(source_query("sizes"), [relation.oid for relation in chosen])
    return {row["oid"]: (row["bytes"], row["indexes"]) for row in rows}


async def tables(source: Source, chosen: Sequence[Relation]) -> list[SourceTable]:
    """Reads the chosen relations with their columns, indexes, constraints and statistics, in the order given."""
    rows = await source.fetch(f"{Stage.CATALOG} {source_query('tables')}", [relation.oid for relation in chosen])
    described = {row["oid"]: _table(dict(row)) for row in rows}
    return [described[relation.oid] for relation in chosen if relation.oid in described]


async def members(source: Source, chosen: Sequence[Table]) -> dict[int, list[Member]]:
    """The tables that hold the rows of those chosen, by oid of these, the largest first."""
    found: dict[int, list[Member]] = {table.oid: [] for table in chosen}
    for row in await source.fetch(source_query("parts"), list(found)):
        relation = Relation(row["schema"], row["name"], row["kind"], oid=row["oid"])
        found[row["root"]].append(Member(relation, row["pages"], row["bytes"], row["may_cut"]))
    return found


def _table(row: dict[str, Any]) -> SourceTable:
    relation = Relation(**{key: row.pop(key) for key in ("schema", "name", "kind", "oid")})
    kinds = {"columns": Column, "indexes": Index, "constraints": Constraint, "statistics": Statistics}
    lists = {key: tuple(_part(kind, part) for part in json.loads(row[key])) for key, kind in kinds.items()}
    # the source may be the target of another nightly-etl, whose line would make each night's definition a new one
    others = {"storage": tuple(row["storage"]), "comment": undated(row["comment"])}
    return SourceTable(relation, **row | lists | others)


def _part(kind: Callable[..., Any], part: dict[str, Any]) -> Any:
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in part.items()})
