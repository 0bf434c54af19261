"""The swap: staging tables take the live tables' places, and what was attached to the old is reattached to the new.

Everything is read and composed before the first lock is asked for, and sent as one message, which the server parses
before it executes any of it: locks, a second look, moves, attachments. The second look is as wide as the
first: under the locks, the inventory of the live tables, of the views on them and of all attachments of either must be
the one from which the message was composed. The old tables and views are only put aside, into a schema of their own: to
drop them takes more than twice as long, and nobody has to wait for that.
"""

# docs/decisions.md, "Old tables are put aside, not dropped"
# docs/decisions.md, "The catalog is read again under the locks"

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from etl.model import limits
from etl.model.errors import CannotCarry, LiveChanged, PublishFailed, sqlstate
from etl.model.name import Place, TargetName
from etl.sessions.postgres import Target, create_schemas
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.target import live
from etl.target.views import Staged

_VACUUM_TIMEOUT = sql.SQL(
    "SELECT pg_catalog.set_config('lock_timeout', (setting::integer + 2000)::text, true)"
    " FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"
)

_CHANGED = "ETL01"
"""The SQLSTATE, in a class that the server does not use, with which the second look fails."""

_LOCKED = sql.SQL("BEGIN BEGIN {locks}; EXCEPTION WHEN undefined_table THEN {fail}; END; END")

_LOOKED = sql.SQL("BEGIN IF ({now}) IS DISTINCT FROM {then} THEN {fail}; END IF; END")

_FAIL = sql.SQL(f"RAISE EXCEPTION USING ERRCODE = '{_CHANGED}', MESSAGE = 'the live tables have changed'")

CHANGES = "somebody changes the live tables, or what hangs on them, all the time"


@dataclass(frozen=True, slots=True)
class Message:
    """What one swap will do, as one message of SQL."""

    text: bytes

    async def execute(self, target: Target) -> None:
        """Does it, in the caller's transaction; raises LiveChanged where what it was composed for has changed."""
        try:
            await target.execute(self.text)
        except psycopg.Error as error:
            if sqlstate(error) == _CHANGED:
                raise LiveChanged(CHANGES) from error
            raise


async def compose(target: Target, tables: Sequence[TargetName], staged: Staged) -> Message:
    """Reads and composes all that a swap will do, in the transaction that is to do it.

    Raises CannotCarry for what could not be put back, LiveChanged when the live tables, or what hangs on them, are not
    those for which all was staged, PublishFailed when a staging table is gone.
    """
    old, found = staged.live, [*staged.live, *staged.found]
    moving = [*tables, *(view.full_name for view in staged.ready)]
    in_staging = await live.objects(target, [one.staging for one in moving])
    new = {one.full_name: one for one in in_staging if one.is_live}
    if missing := [str(table) for table in tables if table.staging not in new]:
        raise PublishFailed(f"{', '.join(missing)} is no longer staged; another run or `etl abort` has dropped it")
    try:
        await _end_vacuums(target, [*old, *(new[table.staging] for table in tables)])
    except psycopg.errors.UndefinedTable as error:
        raise LiveChanged(CHANGES) from error
    if await live.inventory(target, found, tables) != staged.inventory:
        raise LiveChanged(CHANGES)
    first = _first(tables, old)
    await create_schemas(target, {table.schema for table in first})
    moves = [statement for one in found for statement in _aside(one)]
    for one in moving:
        moves += _move(one, new[one.staging], is_first=one in first)
    moves += [statement for view in staged.late for statement in await _remade(target, view)]
    moves += [sql.SQL(statement) for statement in await live.default_grants(target, list(first))]
    attachments = _reattached(found, new, await live.attachments(target, found))
    filled = [statement for view in staged.late for statement in live.refresh(view, view.identifier)]
    granted = [_reattach(one) for one in attachments if one.columns and one.statement.startswith("GRANT ")]
    # Once more on the old one, first: whoever changes such a privilege beside us, which before 18 takes no lock on the
    # table, has to wait for us then, or we for them.
    statements = [*_locks(tables, staged), *granted, *moves, *map(_reattach, attachments), *filled]
    return Message(f"{Stage.PUBLISH} ".encode() + sql.SQL("; ").join(statements).as_bytes(target))


async def _remade(target: Target, view: live.Object) -> list[sql.Composable]:
    """Gives the statements that make a late view: its owner's from the start, and empty until the end."""
    owned = sql.SQL("ALTER {} {} OWNER TO {}").format(view.word, view.identifier, sql.Identifier(view.owner))
    extras = [sql.SQL(statement) for statement in await live.extras(target, view.full_name, Place.LIVE)]
    return [live.create(view, view.identifier, view.definition or ""), owned, *extras]


async def _end_vacuums(target: Target, tables: Sequence[live.Object]) -> None:
    """Takes a lock that ends an autovacuum of the tables, keeps another from starting, and concerns no reader.

    A server ends the autovacuum that somebody waits for after deadlock_timeout: longer than readers may wait for us.
    """
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        await at_once(target, [_VACUUM_TIMEOUT, sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(names)])


def _first(tables: Sequence[TargetName], old: Sequence[live.Object]) -> dict[TargetName, None]:
    """Gives the tables that are published for the first time, in order."""
    there = {one.full_name for one in old}
    return {table: None for table in tables if table not in there}


def _locks(tables: Sequence[TargetName], staged: Staged) -> list[sql.Composable]:
    """Gives the statements that lock everything, with short timeouts: views first, as their readers do, then tables.

    And look again. LOCK TABLE on a view would lock all that it reads, too, and it takes no materialized view: their
    lock comes with an owner who is the owner already, which changes nothing.
    """
    locks: list[sql.Composable] = [
        sql.SQL("ALTER {} {} OWNER TO {}").format(view.word, view.identifier, sql.Identifier(view.owner))
        for view in reversed(staged.found)
    ]
    if staged.live:
        names = sql.SQL(", ").join(one.identifier for one in staged.live)
        locks.append(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    timeouts = (
        f"SET LOCAL lock_timeout = '{limits.PUBLISH_LOCK_TIMEOUT}';"
        f" SET LOCAL statement_timeout = '{limits.PUBLISH_LOCK_PHASE_TIMEOUT}'"
    )
    now = live.inventory_query([*staged.live, *staged.found], tables)
    return [
        sql.SQL(timeouts),
        *([_as_one(_LOCKED.format(locks=sql.SQL("; ").join(locks), fail=_FAIL))] if locks else []),
        sql.SQL("SET LOCAL statement_timeout = 0"),  # nobody else's lock is waited for from here on
        _as_one(_LOOKED.format(now=now, then=sql.Literal(staged.inventory), fail=_FAIL)),
    ]


def _aside(old: live.Object) -> Iterator[sql.Composable]:
    """Gives the statements that put a live table, or a view on one, aside.

    Free of the tables that it refers to, and without its sequences.
    """
    for key in old.foreign_keys:
        yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(old.identifier, sql.Identifier(key))
    for name in old.sequences:
        yield sql.SQL("ALTER SEQUENCE {} OWNED BY NONE").format(sql.Identifier(old.schema, name))
    yield from _set_schema(old, old.full_name.aside.schema)


def _set_schema(one: live.Object, schema: str) -> Iterator[sql.Composable]:
    names = [(one.word, one.identifier)]
    names += [(sql.SQL("STATISTICS"), sql.Identifier(one.schema, name)) for name in one.statistics]
    for word, name in names:
        yield sql.SQL("ALTER {} {} SET SCHEMA {}").format(word, name, sql.Identifier(schema))


def _move(one: TargetName, staged: live.Object, *, is_first: bool) -> Iterator[sql.Composable]:
    """Gives the statements that take a staged table or view to its live schema.

    What global default privileges granted on it stays on the first night; later, it gets what the live one had.
    """
    yield from _set_schema(staged, one.schema)
    if not is_first:
        yield from live.revoke_grants(staged, one.identifier)


def _reattached(
    found: Sequence[live.Object], new: Mapping[TargetName, live.Object], attached: Sequence[live.Attachment]
) -> list[live.Attachment]:
    """The attachments that the new tables and views can take, in the order in which they are reattached.

    Raises CannotCarry naming those that are orphaned: they use a column that the new table does not have.
    """
    reattached = set[live.Attachment]()
    orphaned = list[str]()
    by_object = dict[int, list[live.Attachment]]()
    for attachment in attached:
        by_object.setdefault(attachment.oid, []).append(attachment)
    for one in found:
        staged = new.get(one.full_name.staging, one)  # a late view is not in staging; it is made as it was
        own = by_object.get(one.oid, [])
        orphaned += live.orphaned(own, staged.columns)
        reattached |= set(live.reattachable(own, staged, is_table=one.is_live))
    if orphaned:
        raise CannotCarry("; ".join(orphaned))
    return [attachment for attachment in attached if attachment in reattached]


def _reattach(attachment: live.Attachment) -> sql.Composable:
    statement = sql.SQL(attachment.statement)
    if attachment.role is None:
        return statement
    return sql.SQL("SET LOCAL ROLE {}; {}; RESET ROLE").format(sql.Identifier(attachment.role), statement)


def _as_one(block: sql.Composable) -> sql.Composed:
    """Makes a block's statements one, because statement_timeout starts anew with each."""
    return sql.SQL("DO {}").format(sql.Literal(block.as_string(None)))
