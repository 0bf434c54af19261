"""The swap as a way of publishing: its obstacles. ``message`` composes its statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etl.publish.way import Arriving, Obstacles
from etl.sessions.postgres import Target
from etl.target import attachments, live
from etl.target.attachments import Attachment
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Swap:
    """The staging table itself becomes the live one."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names the objects, views and attachments of a live table that the new table could not get."""
        current = {item.full_name: item for item in found if item.is_live}
        attached = await attachments.read(target, found)
        return {
            table: _of_table(current[table], [name for name, _ in columns], found, attached)
            for table, columns in arriving.items()
            if table in current
        }


def _of_table(
    current: Object, columns: Sequence[str], found: Sequence[Object], attached: Sequence[Attachment]
) -> list[str]:
    views = live.with_views(current, found)
    gone = [(current.oid, column) for column in current.columns if column not in columns]
    return [
        *(view.obstacle for view in views if view.obstacle),
        *(f"view {view} uses {column}, which is no longer there"
          for view in views for oid, column in gone if (oid, column) in view.reads_columns),
        *attachments.orphaned((attachment for attachment in attached if attachment.oid == current.oid), columns),
    ]  # fmt: skip
