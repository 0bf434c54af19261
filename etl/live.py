"""What hangs on a live table and must outlive the publish: owner, privileges, comments, dependent views.

Everything here is read from the target's catalog and given back as SQL; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from psycopg import sql

from etl.postgres import Target, target_query
from etl.selection import Relation, label

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
class Privilege:
    """One grant on a table, or on a column of it; ``grantee`` None is PUBLIC."""

    privilege: str
    grantee: str | None
    grantable: bool = False
    column: str | None = None

    def grant(self, name: sql.Composable) -> sql.Composed:
        """Gives the GRANT that makes it."""
        column = sql.SQL(" ({})").format(sql.Identifier(self.column)) if self.column else sql.SQL("")
        option = sql.SQL(" WITH GRANT OPTION" if self.grantable else "")
        return sql.SQL("GRANT {}{} ON {} TO {}{}").format(
            sql.SQL(self.privilege), column, name, _role(self.grantee), option
        )


@dataclass(frozen=True, slots=True)
class Object:
    """A live or staging table, or a view that rests on one, with what hangs on it."""

    oid: int
    schema: str
    name: str
    kind: str
    is_live: bool
    owner: str
    comment: str | None
    options: tuple[str, ...]
    is_populated: bool
    definition: str | None
    rests_on: tuple[int, ...]
    has_default_acl: bool
    privileges: tuple[Privilege, ...]
    columns: tuple[str, ...]
    column_comments: dict[str, str]
    indexes: tuple[str, ...]
    obstacles: tuple[str, ...]

    def __str__(self) -> str:
        return label(self.schema, self.name)

    @property
    def identifier(self) -> sql.Identifier:
        """The name, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def obstacle(self) -> str | None:
        """Why this cannot be dropped and put back, or None."""
        if self.is_live and self.kind != "r":
            return f"{self} is {_KINDS.get(self.kind, 'no table')} in the target, not a table; rename or drop it"
        if self.obstacles:
            return f"{self} cannot be replaced while these depend on it: {', '.join(self.obstacles)}; drop them"
        return None


async def objects(target: Target, tables: Iterable[Relation]) -> list[Object]:
    """Reads the tables given, as far as they are there, and all views that rest on them, by name."""
    chosen = list(tables)
    names = {"schemas": [table.schema for table in chosen], "names": [table.name for table in chosen]}
    cursor = await target.execute(target_query("live"), names)
    return [_object(row) for row in await cursor.fetchall()]


async def default_privileges(target: Target, schema: str) -> list[Privilege]:
    """Reads what the schema's default privileges grant on a new table of this session's user."""
    cursor = await target.execute(target_query("default_privileges"), {"schema": schema})
    return [Privilege(**row) for row in await cursor.fetchall()]


async def default_grantees(target: Target) -> list[str | None]:
    """Reads whom default privileges would open a new view of this session's user to; None is PUBLIC."""
    cursor = await target.execute(target_query("default_grantees"))
    return [row["grantee"] for row in await cursor.fetchall()]


def _object(row: dict[str, Any]) -> Object:
    return Object(
        **row
        | {key: tuple(row[key]) for key in ("options", "rests_on", "columns", "obstacles")}
        | {"privileges": tuple(Privilege(**privilege) for privilege in row["privileges"])}
        | {"indexes": tuple(index["definition"] for index in row["indexes"])}
    )


def views(found: Sequence[Object]) -> list[Object]:
    """Gives the dependent views in the order in which they can be made."""
    by_oid = {one.oid: one for one in found}
    graph = {one.oid: [oid for oid in one.rests_on if oid in by_oid] for one in found}
    return [by_oid[oid] for oid in TopologicalSorter(graph).static_order() if not by_oid[oid].is_live]


def drop(view: Object) -> sql.Composed:
    """Gives the statement that drops a view."""
    return sql.SQL("DROP {} {}").format(_view_kind(view), view.identifier)


def create(view: Object, default_grantees: Iterable[str | None] = ()) -> Iterator[sql.Composed]:
    """Gives the statements that make a view again, with all that hangs on it and nothing by default."""
    options = sql.SQL(f" WITH ({', '.join(view.options)})" if view.options else "")
    # Only a materialized view may, and must, say whether it is to be filled.
    data = sql.SQL("" if view.kind == "v" or view.is_populated else " WITH NO DATA")
    yield sql.SQL("CREATE {} {}{} AS {}{}").format(
        _view_kind(view), view.identifier, options, sql.SQL(view.definition or ""), data
    )
    yield from (sql.SQL("") + sql.SQL(definition) for definition in view.indexes)
    yield from _revoke(view.identifier, default_grantees)
    yield from dress(view, view.identifier, view.columns)


def dress(
    old: Object, name: sql.Identifier, columns: Iterable[str], own_comments: Iterable[str | None] = ()
) -> Iterator[sql.Composed]:
    """Gives the statements that put ``old``'s owner, privileges and comments on what has taken its place.

    Takes the columns that the new one has, and which comments it brought of its own: a column's name, or None
    for the table's. Those win over the old ones.
    """
    kind, there, brought = _view_kind(old), set(columns), set(own_comments)
    yield sql.SQL("ALTER {} {} OWNER TO {}").format(kind, name, sql.Identifier(old.owner))
    if not old.has_default_acl:
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(name, sql.Identifier(old.owner))
    yield from (
        privilege.grant(name) for privilege in old.privileges if privilege.column is None or privilege.column in there
    )
    if old.comment is not None and None not in brought:
        yield sql.SQL("COMMENT ON {} {} IS {}").format(kind, name, sql.Literal(old.comment))
    for column, comment in old.column_comments.items():
        if column in there and column not in brought:
            where = name + sql.SQL(".") + sql.Identifier(column)
            yield sql.SQL("COMMENT ON COLUMN {} IS {}").format(where, sql.Literal(comment))


def undress(new: Object, name: sql.Identifier) -> Iterator[sql.Composed]:
    """Gives the statements that take back what the default privileges granted on a new table."""
    grantees = dict.fromkeys(privilege.grantee for privilege in new.privileges if privilege.grantee != new.owner)
    yield from _revoke(name, grantees)


def _revoke(name: sql.Identifier, grantees: Iterable[str | None]) -> Iterator[sql.Composed]:
    yield from (sql.SQL("REVOKE ALL ON {} FROM {}").format(name, _role(grantee)) for grantee in grantees)


def _view_kind(one: Object) -> sql.SQL:
    return sql.SQL({"v": "VIEW", "m": "MATERIALIZED VIEW"}.get(one.kind, "TABLE"))


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
