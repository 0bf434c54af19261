"""The comments of live tables that say as of when their rows are (``ETL_COMMENT_AS_OF``).

A publish or a batch writes them, with the rows. COMMENT takes a lock that conflicts with no reader. The new table of a
swap gets its comment while it is staged; a table that stays, under the lock that its publish has taken before. Where
comments are not asked for, the line that an earlier night has written goes, because it would be wrong from now on.
"""

# docs/decisions.md, "As of when a table is, a comment says where it is asked for"

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from psycopg import sql

from etl.logs.log import get_logger
from etl.model.as_of import dated, undated
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target.live import Object

log = get_logger()


async def stay(target: Target, tables: Iterable[Object], at: datetime | None) -> None:
    """Writes the comments of the live tables among these objects, which stay, in the caller's transaction.

    Only a table's owner may comment on it. One of another role is left alone, and logged.
    """
    changing = [one for one in tables if one.is_live and dated(one.comment, at) != one.comment]
    for one in changing:
        if not one.is_ours:
            log.warning("comment.not_written", table=str(one), owner=one.owner)
    await _write(target, {one.full_name: dated(one.comment, at) for one in changing if one.is_ours})


async def arrive(
    target: Target,
    old: Sequence[Object],
    new: Mapping[TargetName, Object],
    tables: Iterable[TargetName],
    at: datetime | None,
) -> dict[TargetName, Object]:
    """Writes the comments of staging tables; returns all that is ``new``, by its name in staging, as it is now.

    The source's comment goes before that of the ``old`` table, which is then not put back by itself.
    """
    if at is None:
        return dict(new)
    was = {one.full_name: undated(one.comment) for one in old}
    texts = {table: dated(new[table.staging].comment or was.get(table), at) for table in tables}
    await _write(target, {table.staging: text for table, text in texts.items()})
    return {**new, **{table.staging: replace(new[table.staging], comment=text) for table, text in texts.items()}}


async def _write(target: Target, comments: Mapping[TargetName, str | None]) -> None:
    comment = sql.SQL("COMMENT ON TABLE {} IS {}")
    if comments:
        await at_once(target, [comment.format(name.identifier, sql.Literal(text)) for name, text in comments.items()])
