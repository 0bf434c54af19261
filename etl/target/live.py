"""Live tables, the views that depend on them, and the attachments of both, read from the target's catalog.

The functions return objects and SQL statements. None of them changes the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from psycopg import AsyncCursor, sql

from etl.model import drift
from etl.model.catalog import Column
from etl.model.drift import Drift
from etl.model.name import Place, TargetName, arrays, label
from etl.sessions.postgres import Target
from etl.sessions.query import bound, prepared, target_query
from etl.target.staging import place

_KINDS = {
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "c": "a type",
}


@dataclass(frozen=True, slots=True)
class Object:
    """A table, or a view that depends on one: a row of ``live.sql``.

    ``is_ours`` says that this session's role has the rights of the owner. ``rests_on`` are the oids of the relations
    that a view reads, ``reads_columns`` their columns as (oid, name).
    ``grantees`` are the roles other than the owner that have privileges, also on columns; None is PUBLIC.
    ``statistics_elsewhere`` are the extended statistics in another schema, as (schema, name, name in staging).
    ``uncommented`` are the indexes, constraints and statistics without a comment, each with the word for its kind.
    ``tablespace`` and ``method`` are None if a new view gets the same anyway.
    ``unproven`` names functions, policies and system columns by which a materialized view's query may read relations
    that the catalog does not list.
    """

    oid: int
    schema: str
    name: str
    kind: str
    is_live: bool
    owner: str
    is_ours: bool
    comment: str | None
    options: tuple[str, ...]
    tablespace: str | None
    method: str | None
    is_populated: bool
    refreshes_concurrently: bool
    definition: str | None
    rests_on: tuple[int, ...]
    reads_schemas: tuple[str, ...]
    reads_columns: tuple[tuple[int, str], ...]
    columns: tuple[str, ...]
    commented_columns: tuple[str, ...]
    uncommented: tuple[str, ...]
    grantees: tuple[str | None, ...]
    indexes: tuple[str, ...]
    constraints: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    statistics: tuple[str, ...]
    statistics_elsewhere: tuple[tuple[str, str, str], ...]
    sequences: tuple[str, ...]
    unproven: tuple[str, ...]
    obstacles: tuple[str, ...]

    def __str__(self) -> str:
        return label(self.schema, self.name)

    @property
    def full_name(self) -> TargetName:
        """The name with its schema."""
        return TargetName(self.schema, self.name)

    @property
    def identifier(self) -> sql.Identifier:
        """The name as a quoted identifier."""
        return sql.Identifier(self.schema, self.name)

    @property
    def word(self) -> sql.SQL:
        """The word for this kind of object in SQL statements."""
        return sql.SQL({"v": "VIEW", "m": "MATERIALIZED VIEW"}.get(self.kind, "TABLE"))

    @property
    def obstacle(self) -> str | None:
        """The reason why this cannot be replaced by a new table or view, or None."""
        if self.is_live and self.kind != "r":
            what, or_else = _KINDS.get(self.kind, "no table"), ', or publish "in-place"' if self.kind == "p" else ""
            return f"{self} is {what} in the target, not a table; rename or drop it{or_else}"
        if self.obstacles:
            what = ", ".join(self.obstacles)
            return f'{self} cannot be replaced while this depends on it: {what}; drop that, or publish "in-place"'
        return None

    @property
    def obstacle_in_place(self) -> str | None:
        """The reason why this table's rows cannot be replaced in place, or None."""
        return None if self.kind in {"r", "p"} else self.obstacle


async def objects(target: Target, tables: Iterable[TargetName]) -> list[Object]:
    """Reads the tables that exist among ``tables``, and all views that depend on them, sorted by name."""
    cursor = await target.execute(target_query("live"), arrays(tables))
    return [_object(row) for row in await cursor.fetchall()]


def _object(row: dict[str, Any]) -> Object:
    lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
    lists |= {key: tuple(tuple(item) for item in row[key]) for key in ("reads_columns", "statistics_elsewhere")}
    return Object(**row | lists)


async def inventory(target: Target, found: Iterable[Object], tables: Iterable[TargetName]) -> str:
    """Reads one number that changes when the objects, their attachments, or the owners of the tables' names change."""
    cursor = await target.execute(inventory_query(found, tables))
    row = await cursor.fetchone()
    assert row is not None
    return str(row["inventory"])


def inventory_query(found: Iterable[Object], tables: Iterable[TargetName]) -> sql.Composed:
    """The query of ``inventory``, to be a part of another statement."""
    return bound("inventory", {"oids": [one.oid for one in found], **arrays(tables)})


async def readers(target: Target, found: Sequence[Object]) -> list[str]:
    """Reads the statements that grant the readers of tables and views the same in the staging schemas."""
    wanted = {"oids": [one.oid for one in found], "staging": [one.full_name.staging.schema for one in found]}
    cursor = await target.execute(target_query("access"), wanted)
    return [row["statement"] for row in await cursor.fetchall()]


Extras = list[tuple[str, str, str]]
"""Indexes, constraints and extended statistics of a live table: kind, name, and a statement for its staging table."""


def ask_extras(table: TargetName, into: str) -> sql.Composed:
    """The statement that asks for a table's indexes, constraints and statistics, to be made in the schema ``into``."""
    return prepared("extras", {"schema": table.schema, "name": table.name, "staging": into})


async def extras_of(asked: AsyncCursor[dict[str, Any]]) -> Extras:
    """Reads the answer to ``ask_extras``."""
    statements = ("statement", "comment_statement")
    rows = await asked.fetchall()
    return [(row["kind"], row["name"], row[key]) for row in rows for key in statements if row[key] is not None]


async def extras(target: Target, view: TargetName, into: Place = Place.STAGING) -> list[str]:
    """Reads the statements that create a materialized view's indexes and statistics on its staging view."""
    asked = await target.execute(ask_extras(view, into.schema(view.schema)))
    return [statement for _, _, statement in await extras_of(asked)]


async def drifted(target: Target, wanted: Mapping[TargetName, Sequence[Column]]) -> dict[TargetName, Drift]:
    """Compares the wanted columns of live tables with the present ones, and returns the tables that differ."""
    old = await columns_of(target, wanted)
    new = {one: [(column.name, column.type) for column in columns] for one, columns in wanted.items()}
    found = {one: drift.between(columns, new[one]) for one, columns in old.items()}
    return {one: changes for one, changes in found.items() if changes}


async def columns_of(target: Target, tables: Iterable[TargetName]) -> dict[TargetName, list[drift.Named]]:
    """Reads the columns of the tables that are there: names and types, in order."""
    cursor = await target.execute(target_query("all_columns"), arrays(tables))
    found: dict[TargetName, list[drift.Named]] = {}
    for row in await cursor.fetchall():
        found.setdefault(TargetName(row["schema"], row["relation"]), []).append((row["name"], row["type"]))
    return found


async def columns(target: Target, relation: TargetName) -> list[drift.Named]:
    """Reads a table's columns, names and types, in order; [] if the table does not exist."""
    cursor = await target.execute(target_query("columns"), {"schema": relation.schema, "name": relation.name})
    return [(row["name"], row["type"]) for row in await cursor.fetchall()]


async def key(target: Target, relation: TargetName) -> list[str]:
    """Reads the columns that identify a row of a table; [] if the table has no key."""
    cursor = await target.execute(target_query("key"), {"schema": relation.schema, "name": relation.name})
    row = await cursor.fetchone()
    return list(row["columns"]) if row else []


async def other_keys(target: Target, relation: TargetName, key: Sequence[str]) -> list[list[str] | None]:
    """Reads the columns of each other unique index; None for an index that columns do not describe."""
    wanted = {"schema": relation.schema, "name": relation.name, "key": list(key)}
    cursor = await target.execute(target_query("other_keys"), wanted)
    return [row["columns"] for row in await cursor.fetchall()]


async def owners(target: Target, tables: Sequence[TargetName]) -> dict[TargetName, str]:
    """Reads the owners of the live tables that belong to another role than this session's."""
    cursor = await target.execute(target_query("owners"), arrays(tables))
    return {TargetName(row["schema"], row["name"]): row["owner"] for row in await cursor.fetchall()}


async def default_grants(target: Target, tables: Sequence[TargetName]) -> list[str]:
    """Reads the statements that grant the default privileges of the live schemas."""
    cursor = await target.execute(target_query("default_privileges"), arrays(tables))
    return [row["statement"] for row in await cursor.fetchall()]


def views(found: Sequence[Object]) -> list[Object]:
    """The dependent views, in an order in which they can be created."""
    by_oid = {one.oid: one for one in found}
    graph = {one.oid: [oid for oid in one.rests_on if oid in by_oid] for one in found}
    return [by_oid[oid] for oid in TopologicalSorter(graph).static_order() if not by_oid[oid].is_live]


def together(found: Sequence[Object]) -> dict[TargetName, list[Object]]:
    """Each live table, and after it the views that depend on it, however indirectly."""
    tables = {one.oid: one for one in found if one.is_live}
    rests_on = {oid: {oid} for oid in tables}
    dependent = {one.full_name: [one] for one in tables.values()}
    for view in views(found):
        rests_on[view.oid] = set().union(*(rests_on.get(oid, ()) for oid in view.rests_on))
        for oid in rests_on[view.oid]:
            dependent[tables[oid].full_name].append(view)
    return dependent


def drop(view: Object) -> sql.Composed:
    """The statement that drops a view."""
    return sql.SQL("DROP {} {}").format(view.word, view.identifier)


def create(view: Object, name: sql.Identifier, definition: str) -> sql.Composed:
    """The statement that creates a view under a name, with a definition.

    A materialized view is created empty; REFRESH fills it.
    """
    stored = place(view.method, view.options, view.tablespace)
    data = sql.SQL(" WITH NO DATA" if view.kind == "m" else "")
    return sql.SQL("CREATE {} {}{} AS {}{}").format(view.word, name, stored, sql.SQL(definition), data)


def refresh(view: Object, name: sql.Identifier) -> Iterator[sql.Composable]:
    """The statement that fills a materialized view under a name; none if the live view is not filled.

    The search path stays empty. Otherwise a function that calls another function without a schema could call one that
    another role has created in a schema of the path, and would run it as the view's owner.
    """
    if view.kind == "m" and view.is_populated:
        yield sql.SQL("REFRESH MATERIALIZED VIEW {}").format(name)
