"""Functions that views of the source call: whether their bodies can be read under the session's empty search_path."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from etl.model.errors import one_line, sqlstate
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query

REMEDY = "etl's sessions have an empty search_path; ALTER FUNCTION ... SET search_path to the schemas that it reads"


_LOST_NAMES = {"42P01", "42883", "42704", "42703", "3F000"}
"""undefined_table, undefined_function, undefined_object, undefined_column, invalid_schema_name."""


def is_lost_name(error: BaseException) -> bool:
    """Whether the server did not find a name."""
    return sqlstate(error) in _LOST_NAMES


async def problems(source: Source, tables: Sequence[Table]) -> dict[int, list[str]]:
    """Why views could not be read, by oid: functions in SQL whose names PostgreSQL does not find.

    PostgreSQL's own validator parses a function's body and executes nothing. It knows bodies in SQL alone.
    """
    views = [table.oid for table in tables if table.source.kind == "v"]
    rows = await source.fetch(source_query("view_functions"), views) if views else []
    said: dict[int, str | None] = {}
    for row in rows:
        if row["function_oid"] not in said:
            said[row["function_oid"]] = await _refusal(source, row["function_oid"])
    names = {table.oid: table for table in tables}
    found: dict[int, list[str]] = {}
    for row in rows:
        if refusal := said[row["function_oid"]]:
            line = f"view {names[row['oid']]} calls {row['function']}, which fails: {refusal}; {REMEDY}"
            found.setdefault(row["oid"], []).append(line)
    return found


async def _refusal(source: Source, function: int) -> str | None:
    try:
        await source.execute("SELECT pg_catalog.fmgr_sql_validator($1::pg_catalog.oid)", function)
    except asyncpg.PostgresError as error:
        if is_lost_name(error):
            return one_line(error)
        if sqlstate(error) != "42501":  # a role that may not call the function may not read the view
            raise
    return None
