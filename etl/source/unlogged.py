"""Unlogged tables: a standby has none of their rows, and refuses to read them."""

from __future__ import annotations

from collections.abc import Sequence

from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import source_query


async def problems(source: Source, tables: Sequence[Table]) -> dict[int, list[str]]:
    """Why tables and views cannot be read from a standby, by oid; empty for a primary."""
    if getattr(source.get_settings(), "in_hot_standby", "") == "off":  # the server says so since PostgreSQL 14
        return {}
    found: dict[int, list[str]] = {}
    names = {table.oid: table for table in tables}
    for row in await source.fetch(source_query("unlogged"), list(names)):
        found.setdefault(row["oid"], []).append(
            f"{names[row['oid']]} cannot be read: the source is a standby, and {row['name']} is unlogged, so its rows"
            f" are on the primary only; point ETL_OPERATIONAL_URL at that, or ALTER TABLE {row['name']} SET LOGGED"
        )
    return found
