"""Dependent views, staged: made anew on the staging tables, filled and indexed, before the publish moves them.

A view holds on to its tables by oid, so it can be made on tables that have another name by then. Its definition
is read with the schemas that it reads in the search path, which leaves their names unqualified, and executed
with each staging schema before its live one: names lead to the staging table where there is one, else to the
live table. Whether they did is checked in the catalog; a view for which they did not (it reads tables of one
name in two schemas) is *late*: it is made in the publish itself. So is a materialized view whose query may read more
than the catalog knows of, by a function that is not immutable or a policy: filled beforehand, it would read yesterday.

So the publish only moves what is ready: a materialized view of any size costs its readers no waiting, and
changes in the same instant as the tables.

A view belongs to its owner before it is filled, indexed or analyzed, so that its functions run with the owner's
rights, restricted, as they do in the owner's own REFRESH; and it reads in staging what its owner may read at home.
"""

# docs/decisions.md, "Views are made before the publish"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from etl.model.errors import CannotCarry, LiveChanged, one_line
from etl.model.name import Place
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target import live, staging
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Staged:
    """The dependent views of one publish: as they were found, which of them wait in staging, and which are late.

    ``live`` are the live tables as they were found; ``inventory`` is the version of all that hangs on both.
    """

    inventory: str
    live: tuple[Object, ...]
    found: tuple[Object, ...]
    ready: tuple[Object, ...]
    late: tuple[Object, ...]


async def stage(target: Target, live_now: Sequence[Object], in_staging: Sequence[Object], inventory: str) -> Staged:
    """Makes all views that rest on the live tables, on their staging tables instead.

    Takes what ``live.objects`` found just now of the live tables and of their staging tables, and the inventory of the
    former. Raises CannotCarry naming every view that cannot be made on the new tables, and what else stands in the way;
    LiveChanged when a view was dropped while it was read.
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
    problems: list[str] = []
    for view in found:
        try:
            is_late = view.unproven or _rests_on(view, late)
            oid = None if is_late else await _make(target, view, made)
        except psycopg.Error as error:
            problems.append(_problem(view, error))
            continue
        if oid is None:
            late.append(view)
        else:
            made[view.oid] = oid
            ready.append(view)
    if problems:
        raise CannotCarry("; ".join(problems))
    return Staged(inventory, old, tuple(found), tuple(ready), tuple(late))


def _problem(view: Object, error: psycopg.Error) -> str:
    said = f"view {view} cannot be made on the new tables: {one_line(error)}"
    lacks_privilege = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return f"{said}; it is made as {view.owner}, who owns it: GRANT what is missing" if lacks_privilege else said


async def _clear(target: Target, in_staging: Sequence[Object]) -> None:
    """Drops what was staged before, so that nothing stays there whose live view has changed or is gone."""
    for view in reversed(live.views(in_staging)):
        await target.execute(live.drop(view))


def _rests_on(view: Object, others: Sequence[Object]) -> bool:
    return bool(set(view.rests_on) & {other.oid for other in others})


def _staging_oids(live_now: Sequence[Object], in_staging: Sequence[Object]) -> dict[int, int]:
    """Gives the oid of each live table's staging table, by the live one's oid."""
    new = {one.full_name: one.oid for one in in_staging if one.is_live}
    keys = {one.oid: one.full_name.staging for one in live_now if one.is_live}
    return {oid: new[key] for oid, key in keys.items() if key in new}


async def _make(target: Target, view: Object, made: Mapping[int, int]) -> int | None:
    """Makes one view in staging; gives its oid there, or None when its names did not lead where they should."""
    staged = view.full_name.staging
    name = staged.identifier
    wanted = {made.get(oid, oid) for oid in view.rests_on}
    async with target.transaction():
        definition = await _definition(target, view)
        await _search(
            target, [place.schema(schema) for schema in view.reads_schemas for place in (Place.STAGING, Place.LIVE)]
        )
        await target.execute(live.create(view, name, definition))
        await _search(target, [])
        (there,) = [one for one in await live.objects(target, [staged]) if one.is_live]
        if set(there.rests_on) != wanted:
            await target.execute(live.drop(there))
            return None
        if there.owner != view.owner:
            await staging.give(target, there.word, there.full_name, view.owner)
        await _admit(target, [view])
    async with target.transaction():
        if filling := list(live.refresh(view, name)):  # not by CREATE, which before 17 does not write the rows frozen
            await at_once(target, filling)
        await staging.add(target, await live.extras(target, view.full_name))
    return there.oid


async def _admit(target: Target, found: Sequence[Object]) -> None:
    """Lets who may read tables and views read their staging ones, until the publish puts on what is live."""
    statements = await live.readers(target, found)
    await staging.add(target, statements)


async def _definition(target: Target, view: Object) -> str:
    await _search(target, view.reads_schemas)
    cursor = await target.execute("SELECT rtrim(pg_catalog.pg_get_viewdef(%s::oid), ';') AS definition", [view.oid])
    row = await cursor.fetchone()
    if row is None or row["definition"] is None:
        raise LiveChanged(f"view {view} was dropped while the publish read it")
    return str(row["definition"])


async def _search(target: Target, schemas: Sequence[str]) -> None:
    """Sets the search path until the transaction ends; empty, for every name qualified."""
    path = ", ".join(sql.Identifier(schema).as_string(None) for schema in schemas)
    await target.execute("SELECT pg_catalog.set_config('search_path', %s, true)", [path])
