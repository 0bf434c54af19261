"""Extensions of the target: those that it has, in which schema, and those that it could have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

import psycopg
from psycopg import sql

from etl.model.errors import one_line
from etl.model.transient import is_transient
from etl.sessions.postgres import Target, create_schemas
from etl.sessions.query import target_query

Places = Mapping[str, str | None]
"""The extensions that the target has or could have; None for the schema of one that is not installed."""


Refused = Mapping[str, str]
"""Why the server would refuse to create extensions."""


def creation(name: str, schema: str) -> sql.Composed:
    """The statement that creates an extension in a schema, with the extensions that it needs."""
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}")
    return create.format(sql.Identifier(name), sql.Identifier(schema))


async def refusals(target: Target, wanted: Mapping[str, str]) -> Refused:
    """Why the server would refuse to create extensions, each in a schema.

    Whether a role may create an extension depends on the server: providers let roles do it that are no superusers. So
    the extensions are created, in a transaction that is rolled back.
    """
    refused: dict[str, str] = {}
    with suppress(psycopg.errors.LockNotAvailable):
        for name, schema in wanted.items():
            try:
                async with target.transaction(force_rollback=True):
                    await create_schemas(target, [schema])
                    await target.execute(creation(name, schema))
            except psycopg.Error as error:
                if is_transient(error) or target.closed or target.broken:
                    raise
                refused[name] = one_line(error)
    return refused


async def places(target: Target, names: Collection[str]) -> Places:
    """Reads where the named extensions are in the target."""
    if not names:
        return {}
    cursor = await target.execute(target_query("extension_places"), {"names": sorted(names)})
    return {row["name"]: row["schema"] for row in await cursor.fetchall()}


def problem(
    name: str, schema: str, places: Places, refused: Refused | None = None, *, is_made: bool = True
) -> str | None:
    """Why an object of an extension is not in the target; None if a run would create the extension.

    ``schema`` is that of the object in the source; ``is_made`` is whether a run creates extensions for such an object.
    """
    if refused and name in refused:
        return f"it belongs to extension {name}, which cannot be made in the target: {refused[name]}"
    if name not in places:
        return f"it belongs to extension {name}, which the target cannot install; install its package on the server"
    there = places[name]
    if there is None:
        return None if is_made else f"it belongs to extension {name}; CREATE EXTENSION {name} SCHEMA {schema} there"
    if there != schema:
        return (
            f"it belongs to extension {name}, which the target has in schema {there} instead of {schema}; move it:"
            f" ALTER EXTENSION {name} SET SCHEMA {schema}"
        )
    return f"it belongs to extension {name}, and the target has another version of it; ALTER EXTENSION {name} UPDATE"
