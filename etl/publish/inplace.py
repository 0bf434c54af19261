"""The other way to publish a table: its rows are replaced within the live table, which itself stays.

For tables on which something hangs that could not be put back on another one. Only rows that differ are touched,
by key where the table has one; readers are never blocked, and a reader with an old snapshot goes on seeing it.

The reporting side's triggers, rules and foreign keys fire, so this is done only where they are etl's own code, cannot
take a row that stays for gone, and have left the rows as they were staged.
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
"""What code of a live table does not run when its rows are replaced: all columns are given, row security is off."""

_NO_ROW_SECURITY = sql.SQL("SET LOCAL row_security = off")
"""Fail where it would hide rows: never some of them for all."""

_NOT_LONG = sql.SQL("SET LOCAL lock_timeout = '2s'")
"""Long enough for who is about to commit: what cannot be planned for now is told by the publish."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """The rows of the staging table replace those of the live one, which stays."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names what is no table, columns that have changed (in place, they cannot), and what ``problems`` finds."""
        there = {one.full_name: one for one in found if one.is_live and one.full_name in arriving}
        has = await live.columns_of(target, there) if there else {}
        wrong_kind = {table: [one.obstacle_in_place] for table, one in there.items() if one.obstacle_in_place}
        changed = {
            table: [f"{table} is published in place, and its columns have changed: {changes}"]
            for table in there.keys() - wrong_kind.keys()
            if sorted(has[table]) != sorted(arriving[table]) and (changes := drift.between(has[table], arriving[table]))
        }
        refused = await problems(target, there.keys() - wrong_kind.keys() - changed.keys())
        return {**refused, **wrong_kind, **changed}


async def problems(target: Target, tables: Collection[TargetName]) -> Obstacles:
    """Why the rows of live tables cannot be replaced in place, as far as the tables exist; changes nothing.

    Where nothing else does, the server says so of the very statements, as it plans them with the live table's own rows:
    no replica identity, an identity column, a key whose type has no ``=``.
    """
    found = await replacement.read(target, sorted(tables)) if tables else []
    refused = {one.table: await _refused(target, [one]) for one in found}
    for one in found:
        if not refused[one.table]:
            refused[one.table] = await _unplannable(target, one)
    return refused


async def refuse(target: Target, tables: Collection[TargetName]) -> None:
    """Raises CannotReplace naming all that ``problems`` finds."""
    if text := said(await problems(target, tables)):
        raise CannotReplace(text)


async def replace(target: Target, tables: Sequence[TargetName], hashed: Collection[TargetName]) -> None:
    """Makes live tables hold the rows of their staging tables, in the caller's transaction, and drops the latter.

    Their rows are compared afterwards: by number; those of ``hashed`` tables, and all where an object may have changed
    them, by their checksum too. Raises CannotCarry for a live name that is no table's, CannotReplace for any other
    obstacle, PublishFailed for rows that are not those staged.
    """
    for table in tables:
        await _lock(target, table)
    staged = await live.columns_of(target, [table.staging for table in tables])
    arriving = {table: staged[table.staging] for table in tables}
    if text := said(await InPlace().obstacles(target, await live.objects(target, tables), arriving)):
        raise CannotReplace(text)
    found = await replacement.read(target, tables)
    missing = {one: await _missing(target, one) for one in found if one.on_delete}
    for one in found:
        await _replace(target, one, [name for name, _ in arriving[one.table]], missing.get(one))
    if found:
        await target.execute("SET CONSTRAINTS ALL IMMEDIATE")  # triggers that wait for the commit may change rows, too
    may_change = any(one.side_effects for one in found)  # a trigger may write to another table of the run, too
    for one in found:
        await _compare(target, one, hashes=may_change or one.table in hashed)
    await staging.drop(target, tables)


@dataclass(frozen=True, slots=True)
class Unfilled:
    """The materialized views whose readers have to wait until the publish is over: filled before its swap, or after."""

    before: tuple[Object, ...] = ()
    after: tuple[Object, ...] = ()


async def refresh(target: Target, found: Sequence[Object], staged: Staged) -> Unfilled:
    """Fills the materialized views that rest on tables replaced in place, in the caller's transaction.

    Takes the views found on them, in the order in which they can be made. Those that are ready in staging, because they
    rest on swapped tables too, are filled there; late ones the swap fills. A live one is filled beside its readers
    where it has a unique index. Gives the rest: the first one whose readers have to wait, and those after it; and,
    apart, the first one that may read more than the catalog knows of, so that all tables have to be today's first, and
    those after it.
    """
    late = {view.oid for view in staged.late}
    filled = [view for view in found if view.kind == "m" and view.is_populated and view.oid not in late]
    known = list(takewhile(lambda view: not view.unproven, filled))
    ready = {view.oid for view in staged.ready}
    beside = list(takewhile(lambda view: view.oid in ready or view.refreshes_concurrently, known))
    await fill(target, beside, staged)
    return Unfilled(tuple(known[len(beside) :]), tuple(filled[len(known) :]))


async def fill(target: Target, views: Sequence[Object], staged: Staged | None = None) -> None:
    """Fills materialized views, in the order given: in staging where they are ``staged`` there, else where they are."""
    ready = {view.oid for view in staged.ready} if staged else set()
    for view in views:
        name = view.full_name.staging if view.oid in ready else view.full_name
        how = sql.SQL("CONCURRENTLY " if view.refreshes_concurrently and view.oid not in ready else "")
        statement = sql.SQL("REFRESH MATERIALIZED VIEW {}{}")
        await target.execute(statement.format(how, name.identifier))


async def _lock(target: Target, table: TargetName) -> None:
    """Lets one writer at a time in; readers are not concerned. Nor can anything be hung on the table from here on."""
    (found,) = [one for one in await live.objects(target, [table]) if one.is_live]
    if found.obstacle_in_place:
        raise CannotCarry(found.obstacle_in_place)
    only = sql.SQL("" if found.kind == "p" else "ONLY ")
    lock = sql.SQL("LOCK TABLE {}{} IN SHARE ROW EXCLUSIVE MODE; {}")
    await target.execute(lock.format(only, found.identifier, _NO_ROW_SECURITY))


async def _refused(target: Target, found: Sequence[Replacement]) -> list[str]:
    names = {one.oid: one.table for one in found}
    code = await trust.untrusted_code(target, list(names)) if names else []
    return [
        *(one.obstacle for one in found if one.obstacle),
        *(f"{names[one.oid]} is published in place, and {one}" for one in code if one.kind not in _NOT_RUN),
    ]


async def _unplannable(target: Target, one: Replacement) -> list[str]:
    columns = [name for name, _ in await live.columns(target, one.table)]
    try:
        async with target.transaction(force_rollback=True):  # the publish's own timeouts stay what they are
            plans = [sql.SQL("EXPLAIN ") + statement for statement in one.statements(columns, one.rows)]
            await target.execute(sql.SQL("; ").join([_NOT_LONG, _NO_ROW_SECURITY, *plans]))
    except LockNotAvailable:
        return []
    except psycopg.Error as error:
        if target.closed or target.broken:
            raise
        return [f"{one.table} cannot be published in place: {one_line(error)}"]
    return []


async def _missing(target: Target, one: Replacement) -> int:
    row = await (await target.execute(one.count_missing())).fetchone()
    assert row is not None
    return int(row["missing"])


async def _replace(target: Target, one: Replacement, columns: Sequence[str], missing: int | None) -> None:
    """Replaces one table's rows; ``missing`` is how many have to be put in, where somebody sees one deleted."""
    *others, last = one.statements(columns, one.staged)
    try:
        for statement in others:
            await target.execute(statement)
        if missing is not None and await _missing(target, one) != missing:
            raise PublishFailed(
                f"{one.table} is published in place, and rows that stay were deleted with others; look at"
                f" {', '.join(one.side_effects) or 'what looks on'}"
            )
        await target.execute(last)
    except (UniqueViolation, ExclusionViolation) as error:
        if not one.on_delete:
            raise
        raise PublishFailed(_in_the_way(one, error.diag)) from error


def _in_the_way(one: Replacement, found: psycopg.errors.Diagnostic) -> str:
    table = label(found.schema_name or "", found.table_name or "")
    return (
        f"{one.table} is published in place, and a row cannot take its new values while another one still has them,"
        f" because of {found.constraint_name} on {table}; neither is deleted meanwhile, because"
        f" {', '.join(one.on_delete)} would see that; make it a DEFERRABLE constraint, or drop it or what looks on"
    )


async def _compare(target: Target, one: Replacement, *, hashes: bool) -> None:
    columns = [name for name, _ in await live.columns(target, one.table)] if hashes else []
    there = await checksum.of_rows(target, one.staged, columns)
    here = await checksum.of_rows(target, one.rows, columns)
    if here == there:
        return
    number = f"{here.rows} rows instead of the {there.rows} staged"
    what = number if here.rows != there.rows else "other rows than those staged"
    raise PublishFailed(
        f"{one.table} is published in place, and has {what} afterwards; drop or disable what changes them:"
        f" {', '.join(one.side_effects) or 'a trigger or a rule of another table'}"
    )
