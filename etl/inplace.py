"""The other way to publish a table: its rows are replaced within the live table, which itself stays.

For tables on which something hangs that could not be put back on another one. Only rows that differ are touched,
by key where the table has one; readers are never blocked, and a reader with an old snapshot goes on seeing it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

from psycopg import sql

from etl import drift, live, staging
from etl.errors import CannotCarry
from etl.live import Object
from etl.postgres import Target
from etl.selection import Relation


async def replace(target: Target, table: Relation) -> None:
    """Makes a live table hold the rows of its staging table, in the caller's transaction, and drops the latter.

    Raises CannotCarry when the columns are not the same: in place, they cannot change.
    """
    name, only = await _rows_of(target, table)
    staging_name = Relation(staging.schema_of(table.schema), table.name)
    old, new = await live.columns(target, table), await live.columns(target, staging_name)
    if sorted(old) != sorted(new):
        raise CannotCarry(f"{table} is published in place, and its columns have changed: {drift.between(old, new)}")
    # One writer at a time; readers are not concerned. And never some of the rows for all of them.
    lock = sql.SQL("LOCK TABLE {}{} IN SHARE ROW EXCLUSIVE MODE; SET LOCAL row_security = off").format(only, name)
    await target.execute(lock)
    parts = {"live": name, "only": only, "staged": sql.Identifier(staging_name.schema, staging_name.name)}
    key = await live.key(target, table)
    others = await live.other_keys(target, table, key)
    for statement in _statements(parts, key, others, [column for column, _ in new]):
        await target.execute(statement)
    await staging.drop_staged(target, [staging_name])


async def refresh(target: Target, tables: Sequence[Relation], ready: Collection[Relation]) -> list[Object]:
    """Fills the materialized views that rest on tables replaced in place, in the caller's transaction.

    Those that are ``ready`` in staging, because they rest on swapped tables too, are filled there; a live one is
    filled beside its readers where it has a unique index. Gives the rest, for ``refresh_alone``: the first one
    whose readers have to wait until the publish is over, and those after it.
    """
    found = live.views(await live.objects(target, tables)) if tables else []
    filled = [view for view in found if view.kind == "m" and view.is_populated]
    beside = list(takewhile(lambda view: view.relation in ready or view.refreshes_concurrently, filled))
    await refresh_alone(target, beside, ready)
    return filled[len(beside) :]


async def refresh_alone(target: Target, views: Sequence[Object], ready: Collection[Relation]) -> None:
    """Fills materialized views, in the order given."""
    for view in views:
        is_ready = view.relation in ready
        name = sql.Identifier(staging.schema_of(view.schema), view.name) if is_ready else view.identifier
        how = sql.SQL("CONCURRENTLY " if view.refreshes_concurrently and not is_ready else "")
        await target.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}{}").format(how, name))


async def _rows_of(target: Target, table: Relation) -> tuple[sql.Identifier, sql.SQL]:
    """Gives a live table's name, and ONLY where its children's rows are not its own: all but a partitioned table."""
    (found,) = [one for one in await live.objects(target, [table]) if one.is_live]
    if found.obstacle_in_place:
        raise CannotCarry(found.obstacle_in_place)
    return found.identifier, sql.SQL("" if found.kind == "p" else "ONLY ")


_DELETE_GONE = "DELETE FROM {only}{live} AS l WHERE NOT EXISTS (SELECT FROM {staged} AS s WHERE {same_key})"

# record_image_eq compares the bytes, for every type: 1.0 is not 1.00, and json has no other comparison
_DELETE_DIFFERING = (
    "DELETE FROM {only}{live} AS l WHERE NOT EXISTS"
    " (SELECT FROM {staged} AS s WHERE {same_key} AND pg_catalog.record_image_eq(ROW({old}), ROW({new})))"
)

_DELETE_IN_THE_WAY = (
    "DELETE FROM {only}{live} AS l USING {staged} AS s, {only}{live} AS other"
    " WHERE {same_key} AND {same_other} AND NOT ({other_key})"
)

_UPDATE_DIFFERING = (
    "UPDATE {only}{live} AS l SET ({columns}) = ROW({new}) FROM {staged} AS s"
    " WHERE {same_key} AND pg_catalog.record_image_ne(ROW({old}), ROW({new}))"
)

_INSERT_MISSING = (
    "INSERT INTO {live} ({columns}) SELECT {new} FROM {staged} AS s"
    " WHERE NOT EXISTS (SELECT FROM {only}{live} AS l WHERE {same_key})"
)


def _statements(
    parts: dict[str, sql.Composable], key: Sequence[str], others: Sequence[Sequence[str] | None], columns: Sequence[str]
) -> list[sql.Composed]:
    """Gives the statements that make the live rows the staged ones.

    Within one UPDATE, two rows cannot swap what is unique beside the key (``others``): a row whose new values
    another one still has is deleted, and comes back with the missing ones. Where columns cannot tell (None), all
    rows that differ go that way.
    """
    parts = parts | {"columns": _list(columns)}
    if not key:
        everything = ("DELETE FROM {only}{live}", "INSERT INTO {live} ({columns}) SELECT {columns} FROM {staged}")
        return [sql.SQL(statement).format(**parts) for statement in everything]
    parts |= {"same_key": _same(key, "l"), "old": _list(columns, "l"), "new": _list(columns, "s")}
    if None in others:
        return [sql.SQL(statement).format(**parts) for statement in (_DELETE_DIFFERING, _INSERT_MISSING)]
    in_the_way = [
        sql.SQL(_DELETE_IN_THE_WAY).format(**parts, same_other=_same(other, "other"), other_key=_same(key, "other"))
        for other in others
        if other
    ]
    gone, *rest = (
        sql.SQL(statement).format(**parts) for statement in (_DELETE_GONE, _UPDATE_DIFFERING, _INSERT_MISSING)
    )
    return [gone, *in_the_way, *rest]


def _same(columns: Sequence[str], of: str) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(of, column), sql.Identifier("s", column)) for column in columns
    )


def _list(columns: Sequence[str], of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, column) if of else sql.Identifier(column) for column in columns)
