"""The swap: staging tables replace the live tables, and the attachments of the old tables are reattached to the new.

A swap reads the catalog and composes all its statements before it requests a lock. It sends them as one message, which
the server parses before it executes any of it. The message takes the locks, checks the inventory, moves the tables and
reattaches the attachments. The check under the locks is as wide as what was read before: the inventory of the live
tables, of the views on them and of the attachments of both must be the one for which the message was composed. The old
tables and views are not dropped but moved to a schema for old tables: dropping takes more than twice as long, and
readers would wait for it.
"""

# docs/decisions.md, "Old tables are put aside, not dropped"

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from etl.model.errors import CannotCarry, LiveChanged, PublishFailed, one_line, sqlstate
from etl.model.name import Place, TargetName
from etl.publish import lock_phase
from etl.sessions.postgres import Target, create_schemas
from etl.sessions.stage import Stage
from etl.target import attachments, dating, live
from etl.target.views import Staged


@dataclass(frozen=True, slots=True)
class Message:
    """All statements of one swap, as one message of the simple query protocol.

    ``told`` are the statements that reattach something, and what, if the message tells which of them has failed.
    """

    text: bytes
    told: tuple[tuple[str, str], ...] = ()

    async def execute(self, target: Target) -> None:
        """Does the swap in the caller's transaction.

        Raises LiveChanged if the inventory has changed, PublishFailed if an attachment does not suit its new table.
        """
        try:
            await target.execute(self.text)
        except psycopg.Error as error:
            if sqlstate(error) == lock_phase.CHANGED:
                raise LiveChanged(lock_phase.CHANGES) from error
            if what := next((what for statement, what in self.told if _is_of(error, statement)), None):
                raise PublishFailed(
                    f"the publish failed, the live tables are as they were: {what} does not suit its new table:"
                    f" {one_line(error)}; change it, or drop it"
                ) from error
            raise


def may_tell(error: BaseException) -> bool:
    """Whether an error may be about an attachment that does not suit its new table, which a message can tell."""
    return (sqlstate(error) or "")[:2] in {"0A", "22", "42", "P0"}


def _is_of(error: psycopg.Error, statement: str) -> bool:
    """Whether this statement of a DO block has failed: the error has a position in it, or its CONTEXT quotes it."""
    return statement == error.diag.internal_query or f'"{statement}"' in (error.diag.context or "")


async def compose(
    target: Target,
    tables: Sequence[TargetName],
    staged: Staged,
    merged: Sequence[TargetName] = (),
    refreshed: Sequence[live.Object] = (),
    *,
    late: Sequence[sql.Composable] = (),
    as_of: datetime | None = None,
    tells: bool = False,
) -> Message:
    """Reads the catalog and composes a swap, in the transaction that will execute it.

    The tables in ``merged``, and the materialized views in ``refreshed``, are locked with the others: no transaction
    that has read them may go on to see other rows. ``late`` deletes their last rows, once the foreign keys of the old
    tables are dropped. ``as_of`` is for the new tables' comments (``dating.py``), None if they do not say it. If it
    ``tells`` which attachment it could not reattach, it takes longer: 12,000 statements 1.4 to 5 s instead of 0.5.

    Raises CannotCarry for orphaned attachments, LiveChanged if the inventory is not the one for which the views were
    staged, PublishFailed if a staging table was dropped.
    """
    old, found = staged.live, [*staged.live, *staged.found]
    moving = [*tables, *(view.full_name for view in staged.ready)]
    new = await _in_staging(target, tables, moving)
    try:
        patience = await lock_phase.end_vacuums(target, [*old, *(new[table.staging] for table in tables)])
    except psycopg.errors.UndefinedTable as error:
        raise LiveChanged(lock_phase.CHANGES) from error
    if await live.inventory(target, found, tables) != staged.inventory:
        raise LiveChanged(lock_phase.CHANGES)
    new = await dating.arrive(target, old, new, tables, as_of)
    first = _first(tables, old)
    await create_schemas(target, {table.schema for table in first})
    moves = _moves(found, {name: new[name.staging] for name in moving}, first)
    moves += [statement for view in staged.late for statement in await _remade(target, view)]
    moves += [sql.SQL(statement) for statement in await live.default_grants(target, list(first))]
    reattached = _reattached(found, new, await attachments.read(target, found))
    filled = [statement for view in staged.late for statement in live.refresh(view, view.identifier)]
    # Column privileges are granted on the old table again, first. Before PostgreSQL 18, a GRANT takes no lock on the
    # table; but two sessions that write the same catalog row wait for each other.
    granted = [_reattach(item) for item in reattached if item.columns and item.statement.startswith("GRANT ")]
    freed = lock_phase.freeing([statement for one in found for statement in lock_phase.free(one)], patience)
    locks = [*lock_phase.locks(tables, staged, merged, refreshed, patience), *freed]
    put_back = [_each(map(_reattach, reattached))] if tells and reattached else map(_reattach, reattached)
    statements = [*locks, *late, *granted, *moves, *put_back, *filled]
    text = f"{Stage.PUBLISH} ".encode() + sql.SQL("; ").join(statements).as_bytes(target)
    told = [item for item in reattached if tells and not item.is_comment]
    return Message(text, tuple((_reattach(item).as_string(target), item.what or item.statement) for item in told))


async def _in_staging(
    target: Target, tables: Sequence[TargetName], moving: Sequence[TargetName]
) -> dict[TargetName, live.Object]:
    """What is staged, by its name in staging; raises PublishFailed if a table is not."""
    found = await live.objects(target, [name.staging for name in moving])
    new = {item.full_name: item for item in found if item.is_live}
    if missing := [str(table) for table in tables if table.staging not in new]:
        raise PublishFailed(f"{', '.join(missing)} is no longer staged; another run or `etl abort` has dropped it")
    return new


def _moves(
    found: Sequence[live.Object], staged: Mapping[TargetName, live.Object], first: Collection[TargetName]
) -> list[sql.Composable]:
    """The statements that move what was ``found`` aside, and what is staged to its live names."""
    elsewhere = {old.full_name: old.statistics_elsewhere for old in found}
    aside = [statement for old in found for statement in _aside(old)]
    arriving = [
        statement
        for name, one in staged.items()
        for statement in _move(name, one, elsewhere.get(name, ()), is_first=name in first)
    ]
    return [*aside, *arriving]


async def _remade(target: Target, view: live.Object) -> list[sql.Composable]:
    """The statements that create a late view: empty, owned by the view's owner, with its indexes and statistics."""
    owned = sql.SQL("ALTER {} {} OWNER TO {}").format(view.word, view.identifier, sql.Identifier(view.owner))
    extras = [sql.SQL(statement) for statement in await live.extras(target, view.full_name, Place.LIVE)]
    return [live.create(view, view.identifier, view.definition or ""), owned, *extras]


def _first(tables: Sequence[TargetName], old: Sequence[live.Object]) -> dict[TargetName, None]:
    """The tables that are published for the first time, in order."""
    existing = {item.full_name for item in old}
    return {table: None for table in tables if table not in existing}


def _aside(old: live.Object) -> Iterator[sql.Composable]:
    """The statements that move a live table, or a view on one, to the schema for old tables."""
    aside = old.full_name.aside.schema
    yield from _set_schema(old, aside, old.statistics)
    for schema, name, staged in old.statistics_elsewhere:
        yield _rename_statistics(schema, name, staged)
        yield _move_statistics(schema, staged, aside)


def _set_schema(item: live.Object, schema: str, statistics: Collection[str]) -> Iterator[sql.Composable]:
    yield sql.SQL("ALTER {} {} SET SCHEMA {}").format(item.word, item.identifier, sql.Identifier(schema))
    for name in statistics:
        yield _move_statistics(item.schema, name, schema)


def _move_statistics(schema: str, name: str, to: str) -> sql.Composed:
    statement = sql.SQL("ALTER STATISTICS {} SET SCHEMA {}")
    return statement.format(sql.Identifier(schema, name), sql.Identifier(to))


def _rename_statistics(schema: str, name: str, new: str) -> sql.Composed:
    return sql.SQL("ALTER STATISTICS {} RENAME TO {}").format(sql.Identifier(schema, name), sql.Identifier(new))


def _move(
    name: TargetName, staged: live.Object, elsewhere: Iterable[tuple[str, str, str]] = (), *, is_first: bool
) -> Iterator[sql.Composable]:
    """The statements that move a staged table or view to its live schema, and its extended statistics to theirs.

    ``elsewhere`` are the statistics of the old table or view that are in another schema. A table that is published for
    the first time keeps the privileges that ALTER DEFAULT PRIVILEGES granted on it. From any other they are revoked,
    because the privileges of the old table are reattached.
    """
    by_name = {in_staging: (schema, live_name) for schema, live_name, in_staging in elsewhere}
    yield from _set_schema(staged, name.schema, [one for one in staged.statistics if one not in by_name])
    for in_staging in staged.statistics:
        if in_staging in by_name:
            schema, live_name = by_name[in_staging]
            yield _move_statistics(staged.schema, in_staging, schema)
            yield _rename_statistics(schema, in_staging, live_name)
    if not is_first:
        yield from attachments.revoke_grants(staged, name.identifier)


def _reattached(
    found: Sequence[live.Object], new: Mapping[TargetName, live.Object], attached: Sequence[attachments.Attachment]
) -> list[attachments.Attachment]:
    """The attachments that the new tables and views can take, in the order in which they are reattached.

    Raises CannotCarry naming those that are orphaned: they use a column that the new table does not have.
    """
    reattached = set[attachments.Attachment]()
    orphaned = list[str]()
    by_object = dict[int, list[attachments.Attachment]]()
    for attachment in attached:
        by_object.setdefault(attachment.oid, []).append(attachment)
    for old in found:
        staged = new.get(old.full_name.staging, old)  # a late view is not in staging, and keeps its columns
        belonging = by_object.get(old.oid, [])
        orphaned += attachments.orphaned(belonging, staged.columns)
        reattached |= set(attachments.reattachable(belonging, staged, is_table=old.is_live))
    if orphaned:
        raise CannotCarry("; ".join(orphaned))
    return [attachment for attachment in attached if attachment in reattached]


def _reattach(attachment: attachments.Attachment) -> sql.Composable:
    statement = sql.SQL(attachment.statement)
    if attachment.role is None:
        return statement
    return sql.SQL("SET LOCAL ROLE {}; {}; RESET ROLE").format(sql.Identifier(attachment.role), statement)


def _each(statements: Iterable[sql.Composable]) -> sql.Composed:
    """Statements as one block, so that the server's error says which of them failed."""
    each = (sql.SQL("EXECUTE {}").format(sql.Literal(one.as_string(None))) for one in statements)
    return lock_phase.as_one(sql.SQL("BEGIN {}; END").format(sql.SQL("; ").join(each)))
