"""The obstacles that would make a publish fail, read from the catalogs before a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from etl.model.table import Table
from etl.sessions.postgres import Target
from etl.target import live
from etl.target.live import Attachment, Object


async def obstacles(
    target: Target, tables: Sequence[Table], found: Sequence[Object], in_place: Collection[Table]
) -> Mapping[Table, list[str]]:
    """The obstacles to the publish of each table.

    Takes the live objects that ``live.objects`` found for the tables, and the tables to publish in place.
    """
    there = {one.relation: one for one in found if one.is_live}
    attached = await live.attachments(target, found)
    problems: dict[Table, list[str]] = {table: [] for table in tables}
    for table in tables:
        if (current := there.get(table.live)) is None:
            continue
        if table in in_place:
            problems[table] = await _in_place(target, table, current)
        else:
            problems[table] = _swapped(table, current, found, attached)
    return problems


async def _in_place(target: Target, table: Table, current: Object) -> list[str]:
    drifted = (await live.drifted(target, {table.live: table.columns})).get(table.live)
    # a different order of columns is no obstacle
    changed = drifted if drifted and (drifted.added or drifted.dropped or drifted.retyped or drifted.renamed) else None
    said = f"it is published in place, and its columns have changed: {changed}" if changed else None
    return [problem for problem in (current.obstacle_in_place, said) if problem]


def _swapped(table: Table, current: Object, found: Sequence[Object], attached: Sequence[Attachment]) -> list[str]:
    columns = [column.name for column in table.columns]
    views = with_views(current, found)
    gone = [(current.oid, column) for column in current.columns if column not in columns]
    return [
        *(one.obstacle for one in views if one.obstacle),
        *(f"view {one} uses {column}, which is no longer there"
          for one in views for oid, column in gone if (oid, column) in one.reads_columns),
        *live.orphaned((attachment for attachment in attached if attachment.oid == current.oid), columns),
    ]  # fmt: skip


def with_views(current: Object | None, found: Sequence[Object]) -> list[Object]:
    """A live table, and the views that depend on it, directly or through other views."""
    if current is None:
        return []
    resting, oids = [current], {current.oid}
    for view in live.views(found):
        if oids & set(view.rests_on):
            resting.append(view)
            oids.add(view.oid)
    return resting
