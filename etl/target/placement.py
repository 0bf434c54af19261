"""Where the target stores tables: the tablespaces and table access methods that the reporting side has chosen.

A staging table is made where its live table is, so that its rows are written once. Its indexes move before the publish.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from etl.model.errors import PublishFailed
from etl.model.name import TargetName, arrays
from etl.model.table import Table
from etl.sessions import query
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target import staging
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class _Placement:
    """The tablespace and the access method of a live table, unless they are the session's defaults (placement.sql)."""

    schema: str
    name: str
    tablespace: str | None
    method: str | None


async def like_live(target: Target, tables: Sequence[Table]) -> list[Table]:
    """The tables, to be made where their live tables are."""
    rows = await query.rows(target, _Placement, target_query("placement"), arrays(table.live for table in tables))
    found = {TargetName(row.schema, row.name): row for row in rows}
    return [
        replace(table, tablespace=there.tablespace, method=there.method) if (there := found.get(table.live)) else table
        for table in tables
    ]


async def follow(target: Target, found: Iterable[Object]) -> None:
    """Moves the staging tables, and their indexes, to the tablespaces in which the live ones are now.

    Takes the objects that ``live.objects`` found for the live tables. Raises PublishFailed for a table whose access
    method has changed since it was loaded: the rows would have to be written again.
    """
    tables = [one for one in found if one.is_live]
    wanted = {"oids": [one.oid for one in tables], "staging": [one.full_name.staging.schema for one in tables]}
    rows = await (await target.execute(target_query("misplaced"), wanted)).fetchall()
    if changed := [row["name"] for row in rows if row["statement"] is None]:
        raise PublishFailed(f"the table access method of {', '.join(changed)} has changed during the run; run again")
    await staging.add(target, [row["statement"] for row in rows])
