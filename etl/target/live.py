"""What is live: the tables that readers query, the views that rest on them, and all that hangs on either.

Everything here is read from the target's catalog and given back as SQL; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
    """A table, or a view that rests on one, as ``live.sql`` finds it.

    ``rests_on`` are the oids that a view reads, ``reads_columns`` the columns of them by (oid, name);
    ``grantees`` are the roles other than the owner that hold privileges, on columns too, None being PUBLIC;
    ``unproven`` is that by which a materialized view's query may read more than the catalog knows of.
    """

    oid: int
    schema: str
    name: str
    kind: str
    is_live: bool
    owner: str
    has_comment: bool
    options: tuple[str, ...]
    is_populated: bool
    refreshes_concurrently: bool
    definition: str | None
    rests_on: tuple[int, ...]
    reads_schemas: tuple[str, ...]
    reads_columns: tuple[tuple[int, str], ...]
    columns: tuple[str, ...]
    commented_columns: tuple[str, ...]
    grantees: tuple[str | None, ...]
    indexes: tuple[str, ...]
    constraints: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    statistics: tuple[str, ...]
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
        """The name, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def word(self) -> sql.SQL:
        """What SQL calls it."""
        return sql.SQL({"v": "VIEW", "m": "MATERIALIZED VIEW"}.get(self.kind, "TABLE"))

    @property
    def obstacle(self) -> str | None:
        """Why this cannot be dropped and put back, or None."""
        if self.is_live and self.kind != "r":
            what, or_else = _KINDS.get(self.kind, "no table"), ', or publish "in-place"' if self.kind == "p" else ""
            return f"{self} is {what} in the target, not a table; rename or drop it{or_else}"
        if self.obstacles:
            what = ", ".join(self.obstacles)
            return f'{self} cannot be replaced while this depends on it: {what}; drop that, or publish "in-place"'
        return None

    @property
    def obstacle_in_place(self) -> str | None:
        """Why this table's rows cannot be replaced, or None."""
        return None if self.kind in {"r", "p"} else self.obstacle


@dataclass(frozen=True, slots=True)
class Attachment:
    """An object attached to a table or a view, as the statement that reattaches it (``attachments.sql``).

    ``role`` has to execute it. ``columns`` and ``index`` are what it needs there; ``what`` says what it is, if
    it is something that must not just vanish with a column.
    """

    oid: int
    role: str | None
    columns: tuple[str, ...]
    index: str | None
    what: str | None
    is_comment: bool
    statement: str


async def objects(target: Target, tables: Iterable[TargetName]) -> list[Object]:
    """Reads the tables given, as far as they are there, and all views that rest on them, by name."""
    cursor = await target.execute(target_query("live"), arrays(tables))
    return [_object(row) for row in await cursor.fetchall()]


def _object(row: dict[str, Any]) -> Object:
    lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
    return Object(**row | lists | {"reads_columns": tuple((oid, name) for oid, name in row["reads_columns"])})


async def attachments(target: Target, found: Iterable[Object]) -> list[Attachment]:
    """Reads the attachments of tables and views, in the order in which they can be reattached."""
    cursor = await target.execute(target_query("attachments"), {"oids": [one.oid for one in found]})
    return [Attachment(**row | {"columns": tuple(row["columns"])}) for row in await cursor.fetchall()]


async def inventory(target: Target, found: Iterable[Object], tables: Iterable[TargetName]) -> str:
    """Reads the version of the objects given, of all that hangs on them and of who bears the tables' names."""
    cursor = await target.execute(inventory_query(found, tables))
    row = await cursor.fetchone()
    assert row is not None
    return str(row["inventory"])


def inventory_query(found: Iterable[Object], tables: Iterable[TargetName]) -> sql.Composed:
    """Gives the query of ``inventory``, to be a part of another statement."""
    return bound("inventory", {"oids": [one.oid for one in found], **arrays(tables)})


async def readers(target: Target, found: Sequence[Object]) -> list[str]:
    """Reads who may read tables and views, as the statements that say so in their staging schemas."""
    wanted = {"oids": [one.oid for one in found], "staging": [one.full_name.staging.schema for one in found]}
    cursor = await target.execute(target_query("access"), wanted)
    return [row["statement"] for row in await cursor.fetchall()]


Extras = list[tuple[str, str, str]]
"""What hangs on a live table or materialized view by itself: kind, name, and a statement that makes it elsewhere."""


def ask_extras(table: TargetName, into: str) -> sql.Composed:
    """The statement that asks for a table's indexes, constraints and statistics, to be made in the schema ``into``."""
    return prepared("extras", {"schema": table.schema, "name": table.name, "staging": into})


async def extras_of(asked: AsyncCursor[dict[str, Any]]) -> Extras:
    """Reads what was asked for: statements that make it, or its comment, on the staging table."""
    statements = ("statement", "comment_statement")
    rows = await asked.fetchall()
    return [(row["kind"], row["name"], row[key]) for row in rows for key in statements if row[key] is not None]


async def extras(target: Target, view: TargetName, into: Place = Place.STAGING) -> list[str]:
    """Gives the statements that make a materialized view's indexes and statistics on its staging one."""
    asked = await target.execute(ask_extras(view, into.schema(view.schema)))
    return [statement for _, _, statement in await extras_of(asked)]


async def drifted(target: Target, wanted: Mapping[TargetName, Sequence[Column]]) -> dict[TargetName, Drift]:
    """Tells how the columns wanted of live tables differ from those that they have, where they are there and do."""
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
    """Reads a table's columns, names and types, in order; [] where it is not there."""
    cursor = await target.execute(target_query("columns"), {"schema": relation.schema, "name": relation.name})
    return [(row["name"], row["type"]) for row in await cursor.fetchall()]


async def key(target: Target, relation: TargetName) -> list[str]:
    """Reads the columns that tell a table's rows apart; [] where it has no key."""
    cursor = await target.execute(target_query("key"), {"schema": relation.schema, "name": relation.name})
    row = await cursor.fetchone()
    return list(row["columns"]) if row else []


async def other_keys(target: Target, relation: TargetName, key: Sequence[str]) -> list[list[str] | None]:
    """Reads the columns of all else that must be unique in a table; None for what columns do not say."""
    wanted = {"schema": relation.schema, "name": relation.name, "key": list(key)}
    cursor = await target.execute(target_query("other_keys"), wanted)
    return [row["columns"] for row in await cursor.fetchall()]


async def owners(target: Target, tables: Sequence[TargetName]) -> dict[TargetName, str]:
    """Reads the owners of the live tables that do not belong to this session's role."""
    cursor = await target.execute(target_query("owners"), arrays(tables))
    return {TargetName(row["schema"], row["name"]): row["owner"] for row in await cursor.fetchall()}


async def default_grants(target: Target, tables: Sequence[TargetName]) -> list[str]:
    """Reads what the schemas' default privileges grant on new tables of this session's user, as statements."""
    cursor = await target.execute(target_query("default_privileges"), arrays(tables))
    return [row["statement"] for row in await cursor.fetchall()]


def views(found: Sequence[Object]) -> list[Object]:
    """Gives the dependent views in the order in which they can be made."""
    by_oid = {one.oid: one for one in found}
    graph = {one.oid: [oid for oid in one.rests_on if oid in by_oid] for one in found}
    return [by_oid[oid] for oid in TopologicalSorter(graph).static_order() if not by_oid[oid].is_live]


def with_views(current: Object | None, found: Sequence[Object]) -> list[Object]:
    """A live table and the views that depend on it, however indirectly; nothing where there is no such table."""
    if current is None:
        return []
    dependent, oids = [current], {current.oid}
    for view in views(found):
        if oids & set(view.rests_on):
            dependent.append(view)
            oids.add(view.oid)
    return dependent


def drop(view: Object) -> sql.Composed:
    """Gives the statement that drops a view."""
    return sql.SQL("DROP {} {}").format(view.word, view.identifier)


def create(view: Object, name: sql.Identifier, definition: str) -> sql.Composed:
    """Gives the statement that makes a view under a name, from its definition as it is to be read there.

    A materialized view is made empty; REFRESH fills it.
    """
    options = sql.SQL(f" WITH ({', '.join(view.options)})" if view.options else "")
    data = sql.SQL(" WITH NO DATA" if view.kind == "m" else "")
    return sql.SQL("CREATE {} {}{} AS {}{}").format(view.word, name, options, sql.SQL(definition), data)


def refresh(view: Object, name: sql.Identifier) -> Iterator[sql.Composable]:
    """Gives the statement that fills a materialized view under a name; none for one left empty.

    The search path stays empty: a function that names another one without a schema would find whatever somebody has
    put under that name into a schema of the path, and call it as the view's owner.
    """
    if view.kind == "m" and view.is_populated:
        yield sql.SQL("REFRESH MATERIALIZED VIEW {}").format(name)


def revoke_grants(new: Object, name: sql.Identifier) -> Iterator[sql.Composable]:
    """The statements that revoke what default privileges granted on a new table or view before it is live."""
    for grantee in new.grantees:
        role = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(name, role)


def reattachable(attached: Iterable[Attachment], new: Object, *, is_table: bool) -> Iterator[Attachment]:
    """The attachments that the new table or view can take; a new table has brought its own comments.

    An attachment that needs a column or an index that the new table lacks is left out, as if that were dropped.
    """
    own = {*new.commented_columns, *([""] if new.has_comment else [])} if is_table else set[str]()
    for attachment in attached:
        brought = attachment.is_comment and "".join(attachment.columns) in own
        if not brought and not _gone(attachment, new.columns) and attachment.index in (None, *new.indexes):
            yield attachment


def orphaned(attached: Iterable[Attachment], columns: Collection[str]) -> list[str]:
    """Names the attachments that use a column that the new table lacks, and that must not vanish with the column."""
    found = [
        f"{attachment.what} uses {', '.join(gone)}, which is no longer there"
        for attachment in attached
        if attachment.what and (gone := _gone(attachment, columns))
    ]
    return list(dict.fromkeys(found))  # a trigger's comment is an attachment of its own


def _gone(attachment: Attachment, columns: Collection[str]) -> list[str]:
    return [column for column in attachment.columns if column not in columns]
