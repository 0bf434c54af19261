"""The filling of materialized views on tables in place: beside their readers, where that is possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from psycopg import sql

from etl.publish.replacement import Merged
from etl.sessions.postgres import Target
from etl.sessions.stage import Stage
from etl.target.live import Object
from etl.target.views import Staged


@dataclass(frozen=True, slots=True)
class Unfilled:
    """The materialized views that are filled within the attempt, before its swap or after it: their readers wait."""

    before: tuple[Object, ...] = ()
    after: tuple[Object, ...] = ()


async def refresh(target: Target, found: Sequence[Object], staged: Staged, merged: Merged) -> Unfilled:
    """Fills the materialized views on tables that were replaced in place, in the caller's transaction.

    Takes the views on these tables, in the order of their dependencies. A view that is ready in staging, because it
    reads swapped tables, too, is filled in staging. A late view is left to the swap. A live view with a unique index is
    filled concurrently, so that its readers do not wait.

    Returns the other views, in two parts. ``before`` begins with the first view whose readers have to wait. ``after``
    begins with the first view whose query may read relations that the catalog does not record; the publish fills it
    after it has swapped all tables. If it will delete rows then, it fills all views after that.
    """
    late = {view.oid for view in staged.late}
    filled = [view for view in found if view.kind == "m" and view.is_populated and view.oid not in late]
    if merged.late:
        return Unfilled(after=tuple(filled))
    known = list(takewhile(lambda view: not view.unproven, filled))
    ready = {view.oid for view in staged.ready}
    beside = list(takewhile(lambda view: view.oid in ready or view.refreshes_concurrently, known))
    await fill(target, beside, staged)
    return Unfilled(tuple(known[len(beside) :]), tuple(filled[len(known) :]))


async def fill(
    target: Target, views: Sequence[Object], staged: Staged | None = None, *, is_frozen: bool = False
) -> None:
    """Fills materialized views, in the order given; of a view that is ready in staging, fills the new one there.

    ``is_frozen`` fills none concurrently: then an older snapshot sees the new rows, as it does in swapped tables.
    """
    ready = {view.oid for view in staged.ready} if staged else set()
    for view in views:
        name = view.full_name.staging if view.oid in ready else view.full_name
        how = sql.SQL(
            "CONCURRENTLY " if view.refreshes_concurrently and view.oid not in ready and not is_frozen else ""
        )
        statement = sql.SQL(Stage.FILL + " REFRESH MATERIALIZED VIEW {}{}")
        await target.execute(statement.format(how, name.identifier))
