"""The swap as a way of publishing: its obstacles. ``message`` composes its statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etl.publish.way import Arriving, Obstacles
from etl.sessions.postgres import Target
from etl.target import attachments, live, privileges
from etl.target.attachments import Attachment
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Swap:
    """The staging table itself becomes the live one."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names the objects, views and attachments of a live table that the new table could not get, or not from us."""
        together = live.together(found)
        attached: dict[int, list[Attachment]] = {}
        for attachment in await attachments.read(target, found):
            attached.setdefault(attachment.oid, []).append(attachment)
        refused = await self._refused(target, found, attached)
        return {
            table: [
                *_of_table(together[table], [name for name, _ in columns], attached),
                *(text for one in together[table] for text in refused.get(one.oid, ())),
            ]
            for table, columns in arriving.items()
            if table in together
        }

    async def _refused(
        self, target: Target, found: Sequence[Object], attached: Mapping[int, Sequence[Attachment]]
    ) -> dict[int, list[str]]:
        """What etl's role, or a view's owner, may not do and has to, by the oid of the table or view."""
        oids_of: dict[str, set[int]] = {}
        for oid, attachments_of_one in attached.items():
            for attachment in attachments_of_one:
                if attachment.role is not None:
                    oids_of.setdefault(attachment.role, set()).add(oid)
        refused: dict[int, list[str]] = {}
        for refusal in await privileges.refusals(target, found, oids_of):
            for oid in {refusal.oid} if refusal.oid is not None else oids_of[refusal.role or ""]:
                refused.setdefault(oid, []).append(str(refusal))
        return refused


def _of_table(
    together: Sequence[Object], columns: Sequence[str], attached: Mapping[int, Sequence[Attachment]]
) -> list[str]:
    current = together[0]
    gone = [(current.oid, column) for column in current.columns if column not in columns]
    return [
        *(view.obstacle for view in together if view.obstacle),
        *(f"view {view} uses {column}, which is no longer there"
          for view in together for oid, column in gone if (oid, column) in view.reads_columns),
        *attachments.orphaned(attached.get(current.oid, ()), columns),
    ]  # fmt: skip
