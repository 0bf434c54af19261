"""What is attached to live tables and views: grants, comments, policies, triggers and the like, read as statements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from psycopg import sql

from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Attachment:
    """An object attached to a table or a view, as the statement that reattaches it (``attachments.sql``).

    ``role`` has to execute the statement. ``columns`` and ``index`` are the columns and the index that it needs.
    ``what`` describes the object if the publish must fail rather than lose it with a column. ``part`` is the index,
    constraint or statistics on which it is a comment.
    """

    oid: int
    role: str | None
    columns: tuple[str, ...]
    index: str | None
    what: str | None
    is_comment: bool
    part: str | None
    statement: str


async def read(target: Target, found: Iterable[Object]) -> list[Attachment]:
    """Reads the attachments of tables and views, in the order in which they can be reattached."""
    cursor = await target.execute(target_query("attachments"), {"oids": [one.oid for one in found]})
    return [Attachment(**row | {"columns": tuple(row["columns"])}) for row in await cursor.fetchall()]


def revoke_grants(new: Object, name: sql.Identifier) -> Iterator[sql.Composable]:
    """The statements that revoke what default privileges granted on a new table or view before it is live."""
    for grantee in new.grantees:
        role = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
        yield sql.SQL("REVOKE ALL ON {} FROM {}").format(name, role)


def reattachable(attached: Iterable[Attachment], new: Object, *, is_table: bool) -> Iterator[Attachment]:
    """The attachments that the new table or view can take; a new table has brought its own comments.

    An attachment that needs a column or an index that the new table lacks is left out, as if that were dropped.
    """
    own = {*new.commented_columns, *([""] if new.comment is not None else [])} if is_table else set[str]()
    for attachment in attached:
        brought = attachment.is_comment and "".join(attachment.columns) in own
        takes = attachment.index in (None, *new.indexes) and attachment.part in (None, *new.uncommented)
        if not brought and takes and not _gone(attachment, new.columns):
            yield attachment


def orphaned(attached: Iterable[Attachment], columns: Collection[str]) -> list[str]:
    """Names the attachments that use a column that the new table lacks, and that must not vanish with the column."""
    found = [
        f"{attachment.what} uses {', '.join(gone)}, which is no longer there"
        for attachment in attached
        if attachment.what and (gone := _gone(attachment, columns))
    ]
    return list(dict.fromkeys(found))  # a trigger's comment is an attachment of its own


def _gone(attachment: Attachment, columns: Collection[str]) -> list[str]:
    return [column for column in attachment.columns if column not in columns]
