"""Extensions of the target: those that it has, in which schema, and those that it could have."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from etl.sessions.postgres import Target
from etl.sessions.query import target_query

Places = Mapping[str, str | None]
"""The extensions that the target has or could have; None for the schema of one that is not installed."""


async def places(target: Target, names: Collection[str]) -> Places:
    """Reads where the named extensions are in the target."""
    if not names:
        return {}
    cursor = await target.execute(target_query("extension_places"), {"names": sorted(names)})
    return {row["name"]: row["schema"] for row in await cursor.fetchall()}


def problem(name: str, schema: str, places: Places, *, is_made: bool = True) -> str | None:
    """Why an object of an extension is not in the target; None if a run would create the extension.

    ``schema`` is that of the object in the source; ``is_made`` is whether a run creates extensions for such an object.
    """
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
