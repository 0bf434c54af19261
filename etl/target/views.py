"""Dependent views, staged: created on the staging tables, filled and indexed, before the publish moves them.

A view refers to its tables by oid, so the view still reads them after the publish has moved them. Its definition is
read with the view's schemas in the search path, so that PostgreSQL leaves the names in it unqualified. It is executed
with each staging schema before the live one: a name refers to the staging table if there is one, else to the live
table. The catalog then shows whether each name referred to the right table. If not (the view reads tables of the same
name in two schemas), the view is *late*: the publish itself creates it. A materialized view is late, too, if its query
may read relations that the catalog does not list, through a function that is not immutable or a policy: filled before
the publish, it might read yesterday's rows.

So the publish only moves finished views. Readers do not wait for a materialized view, whatever its size, and the view
changes in the same instant as the tables.

A view is given to its owner before it is filled, indexed or analyzed, so that its functions run with the owner's
privileges, in a security-restricted operation, as in the owner's own REFRESH. In staging, the owner is granted what the
owner may read of the live tables.
"""

# docs/decisions.md, "Views are made before the publish"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from etl.model import limits
from etl.model.errors import CannotCarry, LiveChanged, one_line
from etl.model.name import Place
from etl.sessions.postgres import Target
from etl.sessions.query import bound
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.target import live, staging
from etl.target.foreign_keys import ForeignKey
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Staged:
    """The dependent views of one publish: all of them, those that are ready in staging, and those that are late.

    ``live`` are the live tables; ``inventory`` is the number of ``live.inventory`` for all of these. ``keys`` are the
    foreign keys of the live tables that have to hold for the new rows.
    """

    inventory: str
    live: tuple[Object, ...]
    found: tuple[Object, ...]
    ready: tuple[Object, ...]
    late: tuple[Object, ...]
    keys: tuple[ForeignKey, ...] = ()


async def stage(target: Target, live_now: Sequence[Object], in_staging: Sequence[Object], inventory: str) -> Staged:
    """Creates all views that depend on the live tables again, on their staging tables.

    Takes the objects that ``live.objects`` has just found for the live tables and for their staging tables, and the
    inventory of the former. Raises CannotCarry naming every view that cannot be created on the new tables; LiveChanged
    when a view was dropped while it was read.
    """
    found = live.views(live_now)
    old = tuple(one for one in live_now if one.is_live)
    await _clear(target, in_staging)
    await staging.create_schemas(target, {view.schema for view in found})
    made = _staging_oids(live_now, in_staging)
    if found:
        await _admit(target, [one for one in old if one.oid in made])
    ready: list[Object] = []
    late: list[Object] = []
    closed: list[Object] = []  # views that their readers cannot read in staging yet
    problems: list[str] = []
    for view in found:
        try:
            is_late = view.unproven or _rests_on(view, late)
            oid = None if is_late else await _make(target, view, made)
            if oid is not None and view.kind == "m":
                await _admit(target, [*closed, view])
                closed.clear()
                await _fill(target, view)
        except psycopg.Error as error:
            problems.append(_problem(view, error))
            continue
        if oid is None:
            late.append(view)
            continue
        made[view.oid] = oid
        ready.append(view)
        if view.kind != "m":
            closed.append(view)
    if problems:
        raise CannotCarry("; ".join(problems))
    if closed:
        await _admit(target, closed)
    return Staged(inventory, old, tuple(found), tuple(ready), tuple(late))


def _problem(view: Object, error: psycopg.Error) -> str:
    said = f"view {view} cannot be made on the new tables: {one_line(error)}"
    lacks_privilege = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return f"{said}; it is made as {view.owner}, who owns it: GRANT what is missing" if lacks_privilege else said


async def _clear(target: Target, in_staging: Sequence[Object]) -> None:
    """Drops all staged views: the live view of each may have changed, or been dropped."""
    drops = [live.drop(view) for view in reversed(live.views(in_staging))]
    for start in range(0, len(drops), limits.TABLES_OF_ONE_DROP):
        await at_once(target, drops[start : start + limits.TABLES_OF_ONE_DROP])


def _rests_on(view: Object, others: Sequence[Object]) -> bool:
    return bool(set(view.rests_on) & {other.oid for other in others})


def _staging_oids(live_now: Sequence[Object], in_staging: Sequence[Object]) -> dict[int, int]:
    """The oid of each live table's staging table, by the oid of the live table."""
    new = {one.full_name: one.oid for one in in_staging if one.is_live}
    keys = {one.oid: one.full_name.staging for one in live_now if one.is_live}
    return {oid: new[key] for oid, key in keys.items() if key in new}


async def _make(target: Target, view: Object, made: Mapping[int, int]) -> int | None:
    """Creates one view in staging; returns its oid, or None if a name in it referred to the wrong table."""
    staged = view.full_name.staging
    name = staged.identifier
    wanted = {made.get(oid, oid) for oid in view.rests_on}
    async with target.transaction():
        create = live.create(view, name, await _definition(target, view))
        places = [place.schema(schema) for schema in view.reads_schemas for place in (Place.STAGING, Place.LIVE)]
        there = bound("staged_view", {"name": name.as_string(None)})
        cursor = await at_once(target, [_search(places), create, _search([]), there])
        row = await cursor.fetchone()
        assert row is not None
        if set(row["rests_on"]) != wanted:
            await target.execute(sql.SQL("DROP {} {}").format(view.word, name))
            return None
        if row["owner"] != view.owner:
            await staging.give(target, view.word, staged, view.owner)
    return int(row["oid"])


async def _fill(target: Target, view: Object) -> None:
    """Fills a materialized view in staging, and creates its indexes and statistics."""
    async with target.transaction():
        # not by CREATE: before PostgreSQL 17 it does not freeze rows
        if filling := list(live.refresh(view, view.full_name.staging.identifier)):
            await at_once(target, [sql.SQL(Stage.FILL + " ") + one for one in filling])
        await staging.add(target, await live.extras(target, view.full_name))


async def _admit(target: Target, found: Sequence[Object]) -> None:
    """Grants the readers of tables and views SELECT in staging, until the publish reattaches the live privileges."""
    statements = await live.readers(target, found)
    await staging.add(target, statements)


async def _definition(target: Target, view: Object) -> str:
    read = sql.SQL("SELECT rtrim(pg_catalog.pg_get_viewdef({}::pg_catalog.oid), ';') AS definition").format(view.oid)
    row = await (await at_once(target, [_search(view.reads_schemas), read])).fetchone()
    if row is None or row["definition"] is None:
        raise LiveChanged(f"view {view} was dropped while the publish read it")
    return str(row["definition"])


def _search(schemas: Sequence[str]) -> sql.Composed:
    """Sets the search path until the transaction ends; with no schemas, every name has to be qualified."""
    path = ", ".join(sql.Identifier(schema).as_string(None) for schema in schemas)
    return sql.SQL("SELECT pg_catalog.set_config('search_path', {}, true)").format(path)
