"""In place as a way of publishing: its obstacles. ``replacement`` merges the rows; the table itself stays.

It is for live tables with an attachment that could not be reattached to a new table. Only rows that differ are written,
and a row that stays is updated (``target/merge.py``). Readers of the tables do not wait while rows are merged.

The table's triggers and rules would act on rows for another reason than their author had in mind, and as etl's role. So
a table that has some is refused, unless its option ``triggers`` says that they may fire; then the publish fails if they
have changed the rows. Foreign keys act as ever, but only for rows that are really gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import InvalidColumnReference, LockNotAvailable

from etl.model import drift
from etl.model.errors import one_line
from etl.model.name import TargetName
from etl.publish.way import Arriving, Obstacles
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.transaction import at_once
from etl.target import live, merge, mergeable, trust
from etl.target.live import Object
from etl.target.merge import Merge
from etl.target.mergeable import Mergeable

_NOT_RUN = {"default", "policy", "statistics"}
"""Kinds of code that a merge does not execute: every column has a value, and row security is off."""

NO_ROW_SECURITY = sql.SQL("SET LOCAL row_security = off")
"""If row security would hide rows, statements fail instead of working on a part of the rows."""

ROW_SECURITY = sql.SQL("SET LOCAL row_security = on")
"""As it was: the query of a materialized view reads what the policies show to the view's owner."""

_TEMPORARY = (
    b"SELECT pg_catalog.has_database_privilege(current_database(), 'TEMPORARY') AS may,"
    b" pg_catalog.quote_ident(current_database()) AS database, pg_catalog.quote_ident(current_user) AS role"
)

_KEEP_TO_IDENTITY = (
    "; with ALTER PUBLICATION, let the publication's filter use columns of the table's replica identity"
    " only, and its column list have all of them, or let it publish inserts only"
)
"""The remedy for a publication of updates or deletes with a filter or a column list."""

_TOGETHER = 32
"""The most tables whose merges are planned in one round trip."""

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
        return (await self.examine(target, found, arriving))[0]

    async def examine(
        self, target: Target, found: Sequence[Object], arriving: Arriving
    ) -> tuple[Obstacles, list[Mergeable]]:
        """The obstacles, and the live tables into which rows can be merged."""
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
        problems = await self._problems(target, [one for one in items if one.table not in changed])
        return {**problems, **wrong_kind, **changed}, items

    async def problems(self, target: Target, tables: Iterable[TargetName]) -> Obstacles:
        """The reasons why no rows can be merged into live tables, whatever rows these are.

        Empty for tables that do not exist. Changes nothing.
        """
        return await self._problems(target, await mergeable.read(target, sorted(tables)))

    async def _problems(self, target: Target, items: Sequence[Mergeable]) -> Obstacles:
        """If the catalog shows no obstacle, the server plans the statements: that finds a missing replica identity."""
        untrusted = await _untrusted(target, items)
        denied = await _denied(target) if items else []
        unenforced = await _unenforced(target, items)
        found: Obstacles = {}
        for item in items:
            found[item.table] = [*denied, *self._refused(item), *untrusted[item.table], *unenforced[item.table]]
        if self.planned:
            found |= await _unplannable(target, [item for item in items if not found[item.table]])
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


def _changes(item: Mergeable, has: Sequence[drift.Named], arriving: Sequence[drift.Named]) -> drift.Drift | None:
    """The changes of a table's columns, if any: not their order, nor generated columns that the source lacks."""
    names = {name for name, _ in arriving}
    kept = [(name, kind) for name, kind in has if name in names or name not in item.generated]
    return drift.between(kept, arriving) if sorted(kept) != sorted(arriving) else None


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


async def _unenforced(target: Target, items: Sequence[Mergeable]) -> Obstacles:
    """Why the server could not enforce the tables' foreign keys."""
    names = {item.oid: item.table for item in items}
    found: Obstacles = {table: [] for table in names.values()}
    cursor = await target.execute(target_query("unenforced"), {"oids": list(names)})
    for row in await cursor.fetchall():
        table = names[row["oid"]]
        found[table].append(f"{table} is published in place, and {row['what']}; {row['remedy']}")
    return found


async def _unplannable(target: Target, items: Sequence[Mergeable]) -> Obstacles:
    """What the server says against the statements of merges that change nothing.

    The tables are planned together, so that many of them take few round trips; if there is something against one of
    them, half of them each time.
    """
    if not items:
        return {}
    if len(items) > _TOGETHER:
        parts = [items[number : number + _TOGETHER] for number in range(0, len(items), _TOGETHER)]
    else:
        error = await _planned(target, items)
        if error is None:
            return {}
        if len(items) == 1:
            remedy = _KEEP_TO_IDENTITY if isinstance(error, InvalidColumnReference) else ""
            text = f"{items[0].table} cannot be published in place: {one_line(error)}{remedy}"
            return {items[0].table: [] if isinstance(error, LockNotAvailable) else [text]}
        parts = [items[: len(items) // 2], items[len(items) // 2 :]]
    found: Obstacles = {}
    for part in parts:
        found |= await _unplannable(target, part)
    return found


async def _planned(target: Target, items: Sequence[Mergeable]) -> psycopg.Error | None:
    """Plans the statements of merges; returns the server's error, if there is one."""
    trials = [Merge.trial(item) for item in items]
    statements = (one for trial in trials for one in (trial.difference(), *merge.statements([trial])))
    plans = [sql.SQL("EXPLAIN ") + statement for statement in statements]
    try:
        async with target.transaction(force_rollback=True):  # the rollback restores the session's timeouts
            await at_once(target, [_NOT_LONG, NO_ROW_SECURITY, *plans])
    except psycopg.Error as error:
        if target.closed or target.broken:
            raise
        return error
    return None
