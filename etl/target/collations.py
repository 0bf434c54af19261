"""Collations that the source's users have made: creates in the target those that it lacks, and refuses others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from etl.model.errors import one_line
from etl.model.name import label
from etl.model.transient import is_transient
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Source, Target, create_schemas
from etl.sessions.query import source_query, target_query
from etl.target.needs import Need

Key = tuple[str, str]
"""A collation's schema and name."""

Statements = dict[Key, str]
"""The statement that creates each collation."""


async def ensure(source: Source, target: Target, needed: Sequence[Need]) -> None:
    """Creates the collations that are needed and that the target lacks, as far as it can.

    The load of a table whose collation cannot be created fails by itself.
    """
    wanted = await _of_source(source, needed)
    if not wanted.keys() - (await _of_target(target, wanted)).keys():
        return
    async with target.transaction():
        await target.execute(schema_lock())
        there = await _of_target(target, wanted)  # again: another run may have created some
        for key, statement in wanted.items():
            if key not in there:
                await _make(target, key, statement)


async def _make(target: Target, key: Key, statement: str) -> None:
    try:
        async with target.transaction():
            await create_schemas(target, [key[0]])
            await target.execute(sql.SQL(statement))
    except psycopg.Error as error:
        if is_transient(error) or target.closed or target.broken:
            raise  # any other error was among the obstacles (``problems``), and will be that of the table's load


async def problems(
    source: Source, target: Target, needed: Sequence[Need], *, tries: bool = True
) -> dict[Key, str | None]:
    """Why each collation of the source's users cannot be as it is there; None for one that can.

    Whether the target's build and machine know a locale only they can say. So collations that are missing are created,
    in a transaction that is rolled back: it changes nothing, and it locks nothing that anybody uses. Without ``tries``,
    they are taken for known.
    """
    wanted = await _of_source(source, needed)
    there = await _of_target(target, wanted)
    found: dict[Key, str | None] = {}
    for key, statement in wanted.items():
        if key not in there:
            found[key] = await _refusal(target, key, statement) if tries else None
        elif there[key] != statement:
            found[key] = f"collation {label(*key)} differs: the source has {statement}, the target {there[key]}"
        else:
            found[key] = None
    return found


async def _refusal(target: Target, key: Key, statement: str) -> str | None:
    with suppress(psycopg.errors.LockNotAvailable):
        try:
            async with target.transaction(force_rollback=True):
                await create_schemas(target, [key[0]])
                await target.execute(sql.SQL(statement))
        except psycopg.errors.LockNotAvailable:
            raise
        except psycopg.Error as error:
            if target.closed or target.broken:
                raise
            return f"collation {label(*key)} cannot be made in the target: {one_line(error)}"
    return None


async def _of_source(source: Source, needed: Sequence[Need]) -> Statements:
    # pg_catalog's are made by initdb, of the machine's locales
    keys = sorted({(need.schema or "", need.name) for need in needed if need.is_made_collation})
    if not keys:
        return {}
    arrays = [schema for schema, _ in keys], [name for _, name in keys]
    rows = await source.fetch(source_query("collations"), *arrays)
    return {(row["schema"], row["name"]): row["statement"] for row in rows}


async def _of_target(target: Target, wanted: Statements) -> Statements:
    if not wanted:
        return {}
    arrays = {"schemas": [schema for schema, _ in wanted], "names": [name for _, name in wanted]}
    cursor = await target.execute(target_query("collations"), arrays)
    return {(row["schema"], row["name"]): row["statement"] for row in await cursor.fetchall()}
