"""The swap, as a way of publishing: what would hinder it. ``message`` has what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etl.publish.way import Arriving, Obstacles
from etl.sessions.postgres import Target
from etl.target import live
from etl.target.live import Attachment, Object


@dataclass(frozen=True, slots=True)
class Swap:
    """The staging table itself becomes the live one."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names what could not be put back on the new table: objects, views on columns that are gone, attachments."""
        there = {one.full_name: one for one in found if one.is_live}
        attached = await live.attachments(target, found)
        return {
            table: _of_table(there[table], [name for name, _ in columns], found, attached)
            for table, columns in arriving.items()
            if table in there
        }


def _of_table(
    current: Object, columns: Sequence[str], found: Sequence[Object], attached: Sequence[Attachment]
) -> list[str]:
    views = live.with_views(current, found)
    gone = [(current.oid, column) for column in current.columns if column not in columns]
    return [
        *(one.obstacle for one in views if one.obstacle),
        *(f"view {one} uses {column}, which is no longer there"
          for one in views for oid, column in gone if (oid, column) in one.reads_columns),
        *live.orphaned((one for one in attached if one.oid == current.oid), columns),
    ]  # fmt: skip
