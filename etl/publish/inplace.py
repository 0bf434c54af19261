"""Publishing in place: merges the staged rows into the live table, and keeps the table itself.

It is for live tables with an attachment that could not be reattached to a new table. Only rows that differ are written,
and a row that stays is updated (``target/merge.py``). Readers of the tables do not wait while rows are merged.

The table's triggers and rules would act on rows for another reason than their author had in mind, and as etl's role. So
a table that has some is refused, unless its option ``triggers`` says that they may fire; then the publish fails if they
have changed the rows. Foreign keys act as ever, but only for rows that are really gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from etl.model import drift
from etl.model.errors import CannotCarry, CannotReplace, PublishFailed, one_line
from etl.model.name import TargetName
from etl.publish.message import LONGER_THAN_VACUUM
from etl.publish.policy import Policy
from etl.publish.way import Arriving, Obstacles, said
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.source import checksum
from etl.target import foreign_keys, live, merge, mergeable, merging, staging, trust
from etl.target.live import Object
from etl.target.merge import Merge
from etl.target.mergeable import Mergeable
from etl.target.views import Staged

_NOT_RUN = {"default", "policy", "statistics"}
"""Kinds of code that a merge does not execute: every column has a value, and row security is off."""

_NO_ROW_SECURITY = sql.SQL("SET LOCAL row_security = off")
"""If row security would hide rows, statements fail instead of working on a part of the rows."""

_TEMPORARY = (
    b"SELECT pg_catalog.has_database_privilege(current_database(), 'TEMPORARY') AS may,"
    b" pg_catalog.quote_ident(current_database()) AS database, pg_catalog.quote_ident(current_user) AS role"
)

_NOT_LONG = sql.SQL("SET LOCAL lock_timeout = '2s'")
"""Long enough for a session that is about to commit; if the lock is not free then, the publish itself will report."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """The rows of the staging table are merged into the live one, which stays.

    The triggers and rules of the tables in ``fires`` may fire. If statements are to be ``planned``, the server says
    what it has against them, without executing any.
    """

    fires: frozenset[TargetName] = frozenset()
    planned: bool = True

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Names live relations that are not tables, changed columns (this way cannot change them), and ``problems``."""
        current = {item.full_name: item for item in found if item.is_live and item.full_name in arriving}
        has = await live.columns_of(target, current) if current else {}
        wrong_kind = {table: [item.obstacle_in_place] for table, item in current.items() if item.obstacle_in_place}
        names = {table: [name for name, _ in columns] for table, columns in arriving.items()}
        items = await mergeable.read(target, current.keys() - wrong_kind.keys(), names)
        changed = {
            item.table: [
                f"{item.table} is published in place, and its columns are not the arriving ones: {changes}; change the"
                " live table, or publish it by swap for one night"
            ]
            for item in items
            if (changes := _changes(item, has.get(item.table, ()), arriving[item.table]))
        }
        return {
            **await self._problems(target, [one for one in items if one.table not in changed]),
            **wrong_kind,
            **changed,
        }

    async def problems(self, target: Target, tables: Iterable[TargetName]) -> Obstacles:
        """The reasons why no rows can be merged into live tables, whatever rows these are.

        Empty for tables that do not exist. Changes nothing.
        """
        return await self._problems(target, await mergeable.read(target, sorted(tables)))

    async def _problems(self, target: Target, items: Sequence[Mergeable]) -> Obstacles:
        """If the catalog shows no obstacle, the server plans the statements: that finds a missing replica identity."""
        untrusted = await _untrusted(target, items)
        denied = await _denied(target) if items else []
        found: Obstacles = {}
        for item in items:
            found[item.table] = [*denied, *self._refused(item), *untrusted[item.table]]
            if self.planned and not found[item.table]:
                found[item.table] = await _unplannable(target, item)
        return found

    def _refused(self, item: Mergeable) -> Iterator[str]:
        if item.fires and item.table not in self.fires:
            yield (
                f"{item.table} is published in place, and would fire {', '.join(item.fires)}; drop or disable that, or"
                ' set triggers = "fire" for the table'
            )
        for what in item.keys.unmatched:
            yield (
                f"{item.table} is published in place, and {what} would act on rows that stay, because the columns to"
                " which it refers do not tell the rows of the whole table apart; drop it, or make its actions NO ACTION"
            )
        if item.unwritable:
            columns = ", ".join(item.unwritable)
            yield (
                f"{item.table} is published in place, and {columns}, which is GENERATED ALWAYS AS IDENTITY"
                " and not in its key, can not change; ALTER COLUMN with SET GENERATED BY DEFAULT"
            )


async def refuse(target: Target, policy: Policy) -> None:
    """Raises CannotReplace naming all ``problems`` of the tables that a run publishes in place."""
    if policy.in_place and (text := said(await InPlace(policy.fires).problems(target, policy.in_place))):
        raise CannotReplace(text)


def _changes(item: Mergeable, has: Sequence[drift.Named], arriving: Sequence[drift.Named]) -> drift.Drift | None:
    """The changes of a table's columns, if any: not their order, nor generated columns that the source lacks."""
    names = {name for name, _ in arriving}
    kept = [(name, kind) for name, kind in has if name in names or name not in item.generated]
    return drift.between(kept, arriving) if sorted(kept) != sorted(arriving) else None


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


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of merges: the tables whose rows change, and the statements that delete the last rows.

    The old rows of a swapped table refer to these rows, by a foreign key that goes with the old table.
    """

    changed: tuple[TargetName, ...] = ()
    late: tuple[sql.Composed, ...] = ()


async def replace(target: Target, tables: Sequence[TargetName], policy: Policy) -> Merged:
    """Merges the staged rows into live tables, in the caller's transaction, and drops the staging tables.

    The caller has locked the live tables. Afterwards it compares the numbers of
    rows, and the checksums of ``policy.hashed`` tables; if an object may have changed rows, the checksums of all.
    Raises CannotReplace for an obstacle, PublishFailed if the rows differ from the staged ones.
    """
    await target.execute(_NO_ROW_SECURITY)
    staged = await live.columns_of(target, [table.staging for table in tables])
    arriving = {table: staged.get(table.staging, []) for table in tables}
    way = InPlace(policy.fires, planned=False)  # the server will say itself what it has against the statements
    if text := said(await way.obstacles(target, await live.objects(target, tables), arriving)):
        raise CannotReplace(text)
    found = await mergeable.read(target, tables, {table: [name for name, _ in arriving[table]] for table in tables})
    merges = [
        Merge.of(item, [name for name, _ in arriving[item.table]], number) for number, item in enumerate(found, start=1)
    ]
    differing = [one for one in merges if await merging.find(target, one)]
    held = {one.number for one in differing if await _hold_back(target, one, policy.swapped)}
    for one in differing:
        await _refuse_survivors(target, one)
    for family in merge.families(differing, await _edges(target) if len(differing) > 1 else ()):
        if collision := await merging.execute(target, family):
            in_the_way = _in_the_way(family, collision.error.diag, made_room=collision.made_room)
            raise PublishFailed(in_the_way) from collision.error
    await target.execute("SET CONSTRAINTS ALL IMMEDIATE")  # deferred triggers fire now: they may change rows, too
    may_change = any(item.side_effects for item in found)  # a trigger may write to another table of the run, too
    for one in merges:
        item = one.into
        names = [name for name, _ in arriving[item.table]]
        rows = one.without_late if one.number in held else item.rows
        await _compare(target, one, rows, names if may_change or item.generated or item.table in policy.hashed else ())
    await at_once(target, [one.forget() for one in merges])
    await staging.drop(target, tables)
    late = (one.late for one in differing if one.number in held)
    return Merged(tuple(one.into.table for one in differing), tuple(late))


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


async def fill(target: Target, views: Sequence[Object], staged: Staged | None = None) -> None:
    """Fills materialized views, in the order given; of a view that is ready in staging, fills the new one there."""
    ready = {view.oid for view in staged.ready} if staged else set()
    for view in views:
        name = view.full_name.staging if view.oid in ready else view.full_name
        how = sql.SQL("CONCURRENTLY " if view.refreshes_concurrently and view.oid not in ready else "")
        statement = sql.SQL(Stage.FILL + " REFRESH MATERIALIZED VIEW {}{}")
        await target.execute(statement.format(how, name.identifier))


async def _untrusted(target: Target, items: Sequence[Mergeable]) -> Obstacles:
    names = {item.oid: item.table for item in items}
    found: Obstacles = {table: [] for table in names.values()}
    for code in await trust.untrusted_code(target, names) if names else ():
        if code.kind not in _NOT_RUN:
            found[names[code.oid]].append(f"{names[code.oid]} is published in place, and {code}")
    return found


async def _denied(target: Target) -> list[str]:
    """What etl's role may not do that every merge does."""
    row = await (await target.execute(_TEMPORARY)).fetchone()
    if row is None or row["may"]:
        return []
    return [
        "a publish in place makes temporary tables, which the role may not; GRANT TEMPORARY ON DATABASE"
        f" {row['database']} TO {row['role']}"
    ]


async def _unplannable(target: Target, item: Mergeable) -> list[str]:
    """What the server says against the statements of a merge that changes nothing."""
    trial = Merge.trial(item)
    plans = [sql.SQL("EXPLAIN ") + statement for statement in (trial.difference(), *merge.statements([trial]))]
    try:
        async with target.transaction(force_rollback=True):  # the rollback restores the session's timeouts
            await target.execute(sql.SQL("; ").join([_NOT_LONG, _NO_ROW_SECURITY, *plans]))
    except LockNotAvailable:
        return []
    except psycopg.Error as error:
        if target.closed or target.broken:
            raise
        return [f"{item.table} cannot be published in place: {one_line(error)}"]
    return []


async def _hold_back(target: Target, one: Merge, swapped: Collection[TargetName]) -> int:
    """Holds back the rows that go, and to which old rows of swapped tables refer; returns their number."""
    referring = [table for table in one.into.referred_by if table in swapped]
    if not referring:
        return 0
    oids = [item.oid for item in await live.objects(target, referring) if item.is_live]
    keys = [key for key in await foreign_keys.read(target, oids) if key.referenced == one.into.table]
    return await merging.count(target, one.hold_back(keys)) if keys else 0


def _in_the_way(family: Sequence[Merge], diagnostic: psycopg.errors.Diagnostic, *, made_room: bool) -> str:
    name = diagnostic.constraint_name
    on = TargetName(diagnostic.schema_name or "", diagnostic.table_name or "")
    acts = [what for one in family if one.into.table == on for what in one.into.acts]
    if made_room or not acts:
        return (
            f"{on} is published in place, and two of its new rows have values that {name} keeps apart; correct the"
            f" source, or drop {name}"
        )
    return (
        f"{on} is published in place, and a row cannot take its new values while another one still has them, because of"
        f" {name}; neither is deleted meanwhile, because {', '.join(acts)} would see that; make {name} a"
        " DEFERRABLE constraint, or drop it or what would see that"
    )


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
