"""The replacement of rows in place: locks live tables, merges the staged rows into them, and compares the result."""

# docs/decisions.md, "Autovacuum looks after merged tables"

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import psycopg
from psycopg import sql

from etl.model import limits
from etl.model.base import Live
from etl.model.errors import CannotCarry, CannotReplace, PublishFailed
from etl.model.name import TargetName
from etl.publish import violation
from etl.publish.inplace import NO_ROW_SECURITY, ROW_SECURITY, InPlace
from etl.publish.lock_phase import LONGER_THAN_VACUUM
from etl.publish.parts import Beside, Parts, balance
from etl.publish.policy import Policy
from etl.publish.way import said
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.transaction import at_once
from etl.source import checksum
from etl.target import foreign_keys, live, merge, merging, staging, untouched
from etl.target.merge import Merge
from etl.target.mergeable import Mergeable


async def lock(target: Target, tables: Sequence[TargetName]) -> None:
    """Locks live tables against everything but reading, also against rows that others have locked.

    Raises CannotCarry for a live relation that is not a table.
    """
    found = [item for item in await live.objects(target, tables) if item.is_live]
    if text := "; ".join(item.obstacle_in_place for item in found if item.obstacle_in_place):
        raise CannotCarry(text)
    names = (sql.SQL("{}{}").format(sql.SQL("" if item.kind == "p" else "ONLY "), item.identifier) for item in found)
    statement = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.SQL(", ").join(names))
    await at_once(target, [LONGER_THAN_VACUUM, statement])


_NEAR_PAGES = sql.SQL(f"SET LOCAL random_page_cost = {limits.DELTA_PAGE_COST}")


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of merges: the tables whose rows change, and the statements that delete the last rows.

    The old rows of a swapped table refer to these rows, by a foreign key that goes with the old table. ``remaining``
    are the other rows of their tables. ``lives`` are the states of the tables whose changes the next night may copy.
    ``may_touch_others`` says that triggers or actions of foreign keys may have changed rows of other tables.
    ``seconds`` is how long the rows of each changed table took, by their part of all.
    """

    changed: tuple[TargetName, ...] = ()
    late: tuple[sql.Composable, ...] = ()
    remaining: Mapping[TargetName, sql.Composed] = field(default_factory=dict)
    lives: Mapping[TargetName, Live] = field(default_factory=dict)
    may_touch_others: bool = False
    seconds: Mapping[TargetName, float] = field(default_factory=dict)


async def replace(target: Target, tables: Sequence[TargetName], policy: Policy, beside: Beside | None = None) -> Merged:
    """Merges the staged rows into live tables, in the caller's transaction, and drops the staging tables.

    The caller has locked the live tables. Afterwards it compares the numbers of rows, and the checksums of
    ``policy.hashed`` tables; if an object may have changed rows, the checksums of all. Raises CannotReplace for an
    obstacle, PublishFailed if the rows differ from the staged ones.
    """
    beside = beside or Beside()
    await at_once(target, [NO_ROW_SECURITY, *([_NEAR_PAGES] if beside.parts else [])])
    staged = await live.columns_of(target, [table.staging for table in tables])
    arriving = {table: staged.get(table.staging, []) for table in tables}
    way = InPlace(policy.fires, planned=False)  # the server will say itself what it has against the statements
    obstacles, found = await way.examine(target, await live.objects(target, tables), arriving)
    if text := said(obstacles):
        raise CannotReplace(text)
    gone, since = await staging.gone(target, beside.parts), await untouched.next_id(target)
    merges = [
        _merge(item, [name for name, _ in arriving[item.table]], number, beside.parts, gone)
        for number, item in enumerate(found, start=1)
    ]
    began, pairs = perf_counter(), {one.number: await merging.find(target, one) for one in merges}
    differing = [one for one in merges if pairs[one.number]]
    held = {one.number for one in differing if await _hold_back(target, one, beside.swapped)}
    for one in differing:
        await _refuse_survivors(target, one)
    await _execute(target, differing)
    for one in differing:
        if one.number in held:
            await _refuse_acting_late(target, one, merges, held, {*tables, *beside.parts} - {*beside.swapped})
    may_change = any(item.side_effects for item in found)  # a trigger may write to another table of the run, too
    lives = await balance(target, merges, beside, since, held)
    for one in merges:
        item = one.into
        if one.is_delta:
            continue
        names = [name for name, _ in arriving[item.table]]
        rows = sql.SQL("{} AS l").format(one.without_late) if one.number in held else item.rows
        await _compare(target, one, rows, names if may_change or item.generated or item.table in policy.hashed else ())
    await at_once(target, [*(one.forget() for one in merges), ROW_SECURITY])
    await staging.drop(target, tables)
    late = [one for one in differing if one.number in held]
    row_seconds = (perf_counter() - began) / max(1, sum(pairs.values()))
    return Merged(
        tuple(one.into.table for one in differing),
        (NO_ROW_SECURITY, *(one.late for one in late), ROW_SECURITY) if late else (),
        {one.into.table: one.without_late for one in late},
        lives,
        any(one.into.side_effects for one in differing),
        {one.into.table: round(pairs[one.number] * row_seconds, 3) for one in differing},
    )


def _merge(item: Mergeable, columns: Sequence[str], number: int, parts: Parts, gone: Collection[TargetName]) -> Merge:
    if item.table not in parts:
        return Merge.of(item, columns, number)
    if item.keys.key is None or item.keys.key.nullable:  # by whole rows, all rows would go that have not changed
        raise PublishFailed(
            f"{item.table}: the live table has lost the key by which its changes were loaded; run again"
        )
    return Merge.delta(item, columns, number, item.table.gone.identifier if item.table in gone else None)


async def _hold_back(target: Target, one: Merge, swapped: Collection[TargetName]) -> int:
    """Holds back the rows that go, and to which old rows of swapped tables refer; returns their number."""
    referring = [table for table in one.into.referred_by if table in swapped]
    if not referring:
        return 0
    oids = [item.oid for item in await live.objects(target, referring) if item.is_live]
    keys = [key for key in await foreign_keys.read(target, oids) if key.referenced == one.into.table]
    return await merging.count(target, one.hold_back(keys)) if keys else 0


async def _refuse_acting_late(
    target: Target, one: Merge, merges: Sequence[Merge], held: Collection[int], in_place: Collection[TargetName]
) -> None:
    """Raises PublishFailed if rows of tables in place refer to rows that are deleted later.

    A foreign key's action would change them, when all rows have been compared.
    """
    referring = [table for table in one.into.referred_by if table in in_place]
    oids = [item.oid for item in await live.objects(target, referring) if item.is_live] if referring else []
    keys = [key for key in await foreign_keys.read(target, oids) if key.referenced == one.into.table]
    left = {
        other.into.table: other.without_late if other.number in held else sql.Composed([other.into.rows])
        for other in merges
    }
    rows = [(key, left.get(key.table, sql.SQL("ONLY {}").format(key.table.identifier))) for key in keys]
    if rows and (number := await merging.count(target, [one.referred_late(rows)])):
        raise PublishFailed(
            f"{number} rows of {one.into.table} go to which rows that stay refer, by {', '.join(map(str, keys))};"
            " correct the source, or drop the foreign key"
        )


async def _execute(target: Target, merges: Sequence[Merge]) -> None:
    """Executes merges, and what is deferred to the commit: deferred triggers may change rows, too."""
    try:
        for family in merge.families(merges, await _edges(target) if len(merges) > 1 else ()):
            if collision := await merging.execute(target, family):
                raise PublishFailed(await violation.of_collision(target, family, collision)) from collision
        await target.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.IntegrityError as error:
        raise PublishFailed(violation.of_rows(merges, error)) from error


async def _refuse_survivors(target: Target, one: Merge) -> None:
    """Raises PublishFailed if a foreign key would act because of a value that the new rows still have.

    Several keys may be referred to. If the source pairs their values anew, a value of one of them leaves a row, where
    the foreign key would act, and comes to another one.
    """
    for acting, key in one.into.keys.referred:
        if number := await merging.count(target, [one.surviving(acting, key)]):
            raise PublishFailed(
                f"{one.into.table} is published in place, and {number} values of {', '.join(acting.columns)} go over to"
                f" rows with another key, where {acting.what} would act; drop it, or make its actions NO ACTION"
            )


async def _edges(target: Target) -> list[tuple[int, int]]:
    cursor = await target.execute(target_query("references"))
    return [(row["oid"], row["other"]) for row in await cursor.fetchall()]


async def _compare(target: Target, one: Merge, rows: sql.Composable, columns: Sequence[str]) -> None:
    item = one.into
    staged = await checksum.of_rows(target, item.table.staging.identifier, columns)
    current = await checksum.of_rows(target, rows, columns)
    if current == staged:
        return
    if item.keys.key and current.rows != staged.rows and (alike := await merging.count(target, [one.alike])):
        names = ", ".join(column.name for column in item.keys.key.columns)
        raise PublishFailed(
            f"{item.table} is published in place, and {alike} pairs of new rows have the same {names}, by which the"
            " live table tells its rows apart; correct the source, or drop that key of the live table"
        )
    number = f"{current.rows} rows instead of the {staged.rows} staged"
    what = number if current.rows != staged.rows else "other rows than those staged"
    causes = [*item.side_effects, *(f"the generated column {column}" for column in sorted(item.generated))]
    raise PublishFailed(
        f"{item.table} is published in place, and has {what} afterwards; drop or disable what changes them:"
        f" {', '.join(causes) or 'a trigger or a rule of another table'}"
    )
