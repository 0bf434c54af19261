"""What the source's role may not read, each with the GRANT to give."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import asyncpg

from etl.model.errors import EXPECTED, NotAllowed
from etl.model.name import Relation
from etl.sessions.postgres import Source, source_session
from etl.sessions.query import source_query
from etl.sessions.url import DatabaseUrl


async def unreadable(source: Source, tables: Collection[Relation]) -> dict[int, list[str]]:
    """A line for each privilege that the role lacks, by the oid of the table; every table has a list."""
    rows = await source.fetch(source_query("source_privileges"), [table.oid for table in tables])
    return {row["oid"]: list(_lines(row)) for row in rows}


async def explained(
    url: DatabaseUrl, application: str, tables: Sequence[Relation], error: asyncpg.InsufficientPrivilegeError
) -> Exception:
    """The error with which a table could not be read, or NotAllowed with a line for each table that cannot be read."""
    lines: list[str] = []
    with suppress(*EXPECTED):
        async with source_session(url, application) as source:
            lines = [line for some in (await unreadable(source, tables)).values() for line in some]
    return NotAllowed(lines) if lines else error


def _lines(row: asyncpg.Record) -> list[str]:
    role, schema, table = row["role"], row["schema"], row["name"]
    lines = []
    if not row["may_use_schema"]:
        lines.append(
            f"role {role} of the operational database may not use schema {schema}; GRANT USAGE ON SCHEMA {schema} TO"
            f" {role}"
        )
    if not row["may_select"]:
        lines.append(f"role {role} of the operational database may not read {table}; GRANT SELECT ON {table} TO {role}")
    if row["row_security"]:
        lines.append(
            f"row security of the operational database hides rows of {table} from role {role}; ALTER ROLE {role}"
            " BYPASSRLS"
        )
    return lines
