"""Publishing in place: replaces the rows within the live table, and keeps the table itself.

It is for live tables with an attachment that could not be reattached to a new table. Only rows that differ are written,
by key if the table has one. Readers are never blocked: each keeps seeing the rows of its snapshot.

Triggers, rules and foreign keys of the live table fire. So it is refused if their code is untrusted, or if they would
see a row deleted that the new rows still have; and it fails if they have changed the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

import psycopg
from psycopg import sql
from psycopg.errors import ExclusionViolation, LockNotAvailable, UniqueViolation

from etl.model import drift
from etl.model.errors import CannotCarry, CannotReplace, PublishFailed, one_line
from etl.model.name import TargetName, label
from etl.publish.way import Arriving, Obstacles, said
from etl.sessions.postgres import Target
from etl.source import checksum
from etl.target import live, replacement, staging, trust
from etl.target.live import Object
from etl.target.replacement import Replacement
from etl.target.views import Staged

_NOT_RUN = {"default", "policy", "statistics"}
"""Kinds of code that replacing rows does not execute: every column has a value, and row security is off."""

_NO_ROW_SECURITY = sql.SQL("SET LOCAL row_security = off")
"""If row security would hide rows, statements fail instead of working on a part of the rows."""

_NOT_LONG = sql.SQL("SET LOCAL lock_timeout = '2s'")
"""Long enough for a session that is about to commit; if the lock is not free then, the publish itself will report."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """The rows of the staging table replace those of the live one, which stays."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names live relations that are not tables, changed columns (this way cannot change them), and ``problems``."""
        current = {item.full_name: item for item in found if item.is_live and item.full_name in arriving}
        has = await live.columns_of(target, current) if current else {}
        wrong_kind = {table: [item.obstacle_in_place] for table, item in current.items() if item.obstacle_in_place}
        changed = {
            table: [f"{table} is published in place, and its columns have changed: {changes}"]
            for table in current.keys() - wrong_kind.keys()
            if sorted(has[table]) != sorted(arriving[table]) and (changes := drift.between(has[table], arriving[table]))
        }
        refused = await problems(target, current.keys() - wrong_kind.keys() - changed.keys())
        return {**refused, **wrong_kind, **changed}


async def problems(target: Target, tables: Collection[TargetName]) -> Obstacles:
    """Why the rows of live tables cannot be replaced in place; empty for tables that do not exist. Changes nothing.

    If the catalog shows no obstacle, the server plans the statements with the live table's rows. That finds the rest:
    a missing replica identity, an identity column, a key whose type has no ``=``.
    """
    found = await replacement.read(target, sorted(tables)) if tables else []
    refused = {item.table: await _refused(target, [item]) for item in found}
    for item in found:
        if not refused[item.table]:
            refused[item.table] = await _unplannable(target, item)
    return refused


async def refuse(target: Target, tables: Collection[TargetName]) -> None:
    """Raises CannotReplace naming all ``problems`` of the tables."""
    if text := said(await problems(target, tables)):
        raise CannotReplace(text)


async def replace(target: Target, tables: Sequence[TargetName], hashed: Collection[TargetName]) -> None:
    """Replaces the rows of live tables by those of their staging tables, in the caller's transaction; drops the latter.

    Afterwards it compares the numbers of rows, and the checksums of ``hashed`` tables; if an object may have changed
    rows, the checksums of all tables. Raises CannotCarry for a live relation that is not a table, CannotReplace for any
    other obstacle, PublishFailed if the rows differ from the staged ones.
    """
    for table in tables:
        await _lock(target, table)
    staged = await live.columns_of(target, [table.staging for table in tables])
    arriving = {table: staged[table.staging] for table in tables}
    if text := said(await InPlace().obstacles(target, await live.objects(target, tables), arriving)):
        raise CannotReplace(text)
    found = await replacement.read(target, tables)
    missing = {item: await _missing(target, item) for item in found if item.on_delete}
    for item in found:
        await _replace(target, item, [name for name, _ in arriving[item.table]], missing.get(item))
    if found:
        await target.execute("SET CONSTRAINTS ALL IMMEDIATE")  # deferred triggers fire now: they may change rows, too
    may_change = any(item.side_effects for item in found)  # a trigger may write to another table of the run, too
    for item in found:
        await _compare(target, item, hashes=may_change or item.table in hashed)
    await staging.drop(target, tables)


@dataclass(frozen=True, slots=True)
class Unfilled:
    """The materialized views that are filled within the attempt, before its swap or after it: their readers wait."""

    before: tuple[Object, ...] = ()
    after: tuple[Object, ...] = ()


async def refresh(target: Target, found: Sequence[Object], staged: Staged) -> Unfilled:
    """Fills the materialized views on tables that were replaced in place, in the caller's transaction.

    Takes the views on these tables, in the order of their dependencies. A view that is ready in staging, because it
    reads swapped tables, too, is filled in staging. A late view is left to the swap. A live view with a unique index is
    filled concurrently, so that its readers do not wait.

    Returns the other views, in two parts. ``before`` begins with the first view whose readers have to wait. ``after``
    begins with the first view whose query may read relations that the catalog does not record; the publish fills it
    after it has swapped all tables.
    """
    late = {view.oid for view in staged.late}
    filled = [view for view in found if view.kind == "m" and view.is_populated and view.oid not in late]
    known = list(takewhile(lambda view: not view.unproven, filled))
    ready = {view.oid for view in staged.ready}
    beside = list(takewhile(lambda view: view.oid in ready or view.refreshes_concurrently, known))
    await fill(target, beside, staged)
    return Unfilled(tuple(known[len(beside) :]), tuple(filled[len(known) :]))


async def fill(target: Target, views: Sequence[Object], staged: Staged | None = None) -> None:
    """Fills materialized views, in the order given; of a view that is ready in staging, fills the new one there."""
    ready = {view.oid for view in staged.ready} if staged else set()
    for view in views:
        name = view.full_name.staging if view.oid in ready else view.full_name
        how = sql.SQL("CONCURRENTLY " if view.refreshes_concurrently and view.oid not in ready else "")
        statement = sql.SQL("REFRESH MATERIALIZED VIEW {}{}")
        await target.execute(statement.format(how, name.identifier))


async def _lock(target: Target, table: TargetName) -> None:
    """Locks a live table against other writers, and against new triggers, rules and foreign keys, but not readers."""
    (current,) = [item for item in await live.objects(target, [table]) if item.is_live]
    if current.obstacle_in_place:
        raise CannotCarry(current.obstacle_in_place)
    only = sql.SQL("" if current.kind == "p" else "ONLY ")
    lock = sql.SQL("LOCK TABLE {}{} IN SHARE ROW EXCLUSIVE MODE; {}")
    await target.execute(lock.format(only, current.identifier, _NO_ROW_SECURITY))


async def _refused(target: Target, found: Sequence[Replacement]) -> list[str]:
    names = {item.oid: item.table for item in found}
    untrusted = await trust.untrusted_code(target, list(names)) if names else []
    return [
        *(item.obstacle for item in found if item.obstacle),
        *(f"{names[code.oid]} is published in place, and {code}" for code in untrusted if code.kind not in _NOT_RUN),
    ]


async def _unplannable(target: Target, item: Replacement) -> list[str]:
    columns = [name for name, _ in await live.columns(target, item.table)]
    try:
        async with target.transaction(force_rollback=True):  # the rollback restores the session's timeouts
            plans = [sql.SQL("EXPLAIN ") + statement for statement in item.statements(columns, item.rows)]
            await target.execute(sql.SQL("; ").join([_NOT_LONG, _NO_ROW_SECURITY, *plans]))
    except LockNotAvailable:
        return []
    except psycopg.Error as error:
        if target.closed or target.broken:
            raise
        return [f"{item.table} cannot be published in place: {one_line(error)}"]
    return []


async def _missing(target: Target, item: Replacement) -> int:
    row = await (await target.execute(item.count_missing())).fetchone()
    assert row is not None
    return int(row["missing"])


async def _replace(target: Target, item: Replacement, columns: Sequence[str], missing: int | None) -> None:
    """Replaces the rows of one table.

    ``missing`` is the number of staged rows that the live table lacked before, or None if no object acts ON DELETE. If
    the deletes increase it, they have deleted rows that stay, too, for instance by ON DELETE CASCADE.
    """
    *others, last = item.statements(columns, item.staged)
    try:
        for statement in others:
            await target.execute(statement)
        if missing is not None and await _missing(target, item) != missing:
            raise PublishFailed(
                f"{item.table} is published in place, and rows that stay were deleted with others; look at"
                f" {', '.join(item.side_effects) or 'the triggers and rules of the table'}"
            )
        await target.execute(last)
    except (UniqueViolation, ExclusionViolation) as error:
        if not item.on_delete:
            raise
        raise PublishFailed(_in_the_way(item, error.diag)) from error


def _in_the_way(item: Replacement, diagnostic: psycopg.errors.Diagnostic) -> str:
    table = label(diagnostic.schema_name or "", diagnostic.table_name or "")
    return (
        f"{item.table} is published in place, and a row cannot take its new values while another one still has them,"
        f" because of {diagnostic.constraint_name} on {table}; neither is deleted meanwhile, because"
        f" {', '.join(item.on_delete)} would see that; make it a DEFERRABLE constraint, or drop it"
    )


async def _compare(target: Target, item: Replacement, *, hashes: bool) -> None:
    columns = [name for name, _ in await live.columns(target, item.table)] if hashes else []
    staged = await checksum.of_rows(target, item.staged, columns)
    current = await checksum.of_rows(target, item.rows, columns)
    if current == staged:
        return
    number = f"{current.rows} rows instead of the {staged.rows} staged"
    what = number if current.rows != staged.rows else "other rows than those staged"
    raise PublishFailed(
        f"{item.table} is published in place, and has {what} afterwards; drop or disable what changes them:"
        f" {', '.join(item.side_effects) or 'a trigger or a rule of another table'}"
    )
