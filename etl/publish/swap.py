"""The swap: live tables go, staging tables take their places, and all that hung on the old hangs on the new.

Everything is read and composed before the first lock is asked for, and sent as one message, which the server parses
before it executes any of it: locks, a second look, moves, and what the new ones wear. The second look is as wide as the
first: under the locks, the inventory of the live tables, of the views on them and of all that hangs on either must be
the one from which the message was composed. The old tables and views are only put aside, into a schema of their own: to
drop them takes more than twice as long (docs/decisions.md), and nobody has to wait for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from etl.model.errors import CannotCarry, LiveChanged, PublishFailed, sqlstate
from etl.model.selection import Relation
from etl.sessions.postgres import Target, create_schemas
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.target import live, staging
from etl.target.views import Staged

LOCK_TIMEOUT = "100ms"
"""How long one lock is waited for; readers that come meanwhile wait behind us for as long."""

LOCK_PHASE_TIMEOUT = "500ms"
"""How long all locks together may take: below deadlock_timeout (1 s), so that no reader ever pays for a deadlock."""

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
class Swap:
    """What one swap will do, as one message of SQL."""

    message: bytes

    async def execute(self, target: Target) -> None:
        """Does it, in the caller's transaction; raises LiveChanged where what it was composed for has changed."""
        try:
            await target.execute(self.message)
        except psycopg.Error as error:
            if sqlstate(error) == _CHANGED:
                raise LiveChanged(CHANGES) from error
            raise


async def prepare(target: Target, tables: Sequence[Relation], staged: Staged) -> Swap:
    """Reads and composes all that a swap will do, in the transaction that is to do it.

    Raises CannotCarry for what could not be put back, LiveChanged when the live tables, or what hangs on them, are not
    those for which all was staged, PublishFailed when a staging table is gone.
    """
    old, found = staged.live, [*staged.live, *staged.found]
    moving = [*tables, *(view.relation for view in staged.ready)]
    in_staging = await live.objects(target, [_staging_name(one) for one in moving])
    new = {one.relation: one for one in in_staging if one.is_live}
    if missing := [str(table) for table in tables if _staging_name(table) not in new]:
        raise PublishFailed(f"{', '.join(missing)} is no longer staged; another run or `etl abort` has dropped it")
    try:
        await _end_vacuums(target, [*old, *(new[_staging_name(table)] for table in tables)])
    except psycopg.errors.UndefinedTable as error:
        raise LiveChanged(CHANGES) from error
    if await live.inventory(target, found, tables) != staged.inventory:
        raise LiveChanged(CHANGES)
    first = _first(tables, old)
    await create_schemas(target, {table.schema for table in first})
    moves = [statement for one in found for statement in _aside(one)]
    for one in moving:
        moves += _move(one, new[_staging_name(one)], is_first=one in first)
    moves += [statement for view in staged.late for statement in await _remade(target, view)]
    moves += [sql.SQL(statement) for statement in await live.default_grants(target, list(first))]
    garments = _dressed(found, new, await live.garments(target, found))
    filled = [statement for view in staged.late for statement in live.refresh(view, view.identifier)]
    granted = [_worn(garment) for garment in garments if garment.columns and garment.statement.startswith("GRANT ")]
    # Once more on the old one, first: whoever changes such a privilege beside us, which before 18 takes no lock on the
    # table, has to wait for us then, or we for them.
    statements = [*_locks(tables, staged), *granted, *moves, *(_worn(garment) for garment in garments), *filled]
    return Swap(f"{Stage.PUBLISH} ".encode() + sql.SQL("; ").join(statements).as_bytes(target))


async def _remade(target: Target, view: live.Object) -> list[sql.Composable]:
    """Gives the statements that make a late view: its owner's from the start, and empty until the end."""
    owned = sql.SQL("ALTER {} {} OWNER TO {}").format(view.word, view.identifier, sql.Identifier(view.owner))
    extras = [sql.SQL(statement) for statement in await live.extras(target, view.relation, view.schema)]
    return [live.create(view, view.identifier, view.definition or ""), owned, *extras]


async def _end_vacuums(target: Target, tables: Sequence[live.Object]) -> None:
    """Takes a lock that ends an autovacuum of the tables, keeps another from starting, and concerns no reader.

    A server ends the autovacuum that somebody waits for after deadlock_timeout: longer than readers may wait for us.
    """
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        await at_once(target, [_VACUUM_TIMEOUT, sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(names)])


def refuse_obstacles(found: Sequence[live.Object]) -> None:
    """Raises CannotCarry naming everything that could not be put back."""
    if obstacles := [one.obstacle for one in found if one.obstacle]:
        raise CannotCarry("; ".join(obstacles))


def _staging_name(one: Relation | live.Object) -> Relation:
    return Relation(staging.schema_of(one.schema), one.name)


def _first(tables: Sequence[Relation], old: Sequence[live.Object]) -> dict[Relation, None]:
    """Gives the tables that are published for the first time, in order."""
    there = {one.relation for one in old}
    return {table: None for table in tables if Relation(table.schema, table.name) not in there}


def _locks(tables: Sequence[Relation], staged: Staged) -> list[sql.Composable]:
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
    timeouts = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '{LOCK_PHASE_TIMEOUT}'"
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
    yield from _set_schema(old, staging.aside_of(old.schema))


def _set_schema(one: live.Object, schema: str) -> Iterator[sql.Composable]:
    names = [(one.word, one.identifier)]
    names += [(sql.SQL("STATISTICS"), sql.Identifier(one.schema, name)) for name in one.statistics]
    for word, name in names:
        yield sql.SQL("ALTER {} {} SET SCHEMA {}").format(word, name, sql.Identifier(schema))


def _move(one: Relation, staged: live.Object, *, is_first: bool) -> Iterator[sql.Composable]:
    """Gives the statements that take a staged table or view to its live schema.

    What global default privileges granted on it stays on the first night; later, it gets what the live one had.
    """
    yield from _set_schema(staged, one.schema)
    if not is_first:
        yield from live.undress(staged, sql.Identifier(one.schema, one.name))


def _dressed(
    found: Sequence[live.Object], new: Mapping[Relation, live.Object], worn: Sequence[live.Garment]
) -> list[live.Garment]:
    """Gives what can be put on the new tables and views, in the order in which it must be.

    Raises CannotCarry naming what uses a column that is gone.
    """
    fitting = set[live.Garment]()
    misfits = list[str]()
    worn_by = dict[int, list[live.Garment]]()
    for garment in worn:
        worn_by.setdefault(garment.oid, []).append(garment)
    for one in found:
        staged = new.get(_staging_name(one), one)  # a late view is not in staging; it is made as it was
        own = worn_by.get(one.oid, [])
        misfits += live.misfits(own, staged.columns)
        fitting |= set(live.dress(own, staged, is_table=one.is_live))
    if misfits:
        raise CannotCarry("; ".join(misfits))
    return [garment for garment in worn if garment in fitting]


def _worn(garment: live.Garment) -> sql.Composable:
    statement = sql.SQL(garment.statement)
    if garment.role is None:
        return statement
    return sql.SQL("SET LOCAL ROLE {}; {}; RESET ROLE").format(sql.Identifier(garment.role), statement)


def _as_one(block: sql.Composable) -> sql.Composed:
    """Makes a block's statements one, because statement_timeout starts anew with each."""
    return sql.SQL("DO {}").format(sql.Literal(block.as_string(None)))
