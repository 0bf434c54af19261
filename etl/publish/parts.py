"""Staged loads that have only the changes of a table's rows: what their publish needs, and what it must find.

Such a load is right for one state of the live table. So the publish asks, under its locks, whether the table is still
as the load found it, and counts afterwards: the rows are then as many as the source had, all changed rows are there,
no gone row is, and nothing else was written.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from psycopg import sql

from etl.ledger import ledger
from etl.model.base import Live, Published
from etl.model.errors import PublishFailed
from etl.model.name import TargetName
from etl.model.status import LoadKind
from etl.sessions.postgres import Target
from etl.target import foreign_keys, staging, untouched
from etl.target.merge import Merge
from etl.target.untouched import Left


@dataclass(frozen=True, slots=True)
class Part:
    """The changes of a table that a run has staged: which kind, the rows that the table has in the source, the base."""

    kind: LoadKind
    rows: int
    published: Published


Parts = Mapping[TargetName, Part]
"""The tables of a run of which only changes are staged."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a merge of some tables has to know of their publish.

    ``swapped`` are the tables that it swaps. Of those in ``parts`` only changes are staged, and of those ``counted``
    the next night may copy changes alone.
    """

    swapped: Collection[TargetName] = ()
    parts: Parts = field(default_factory=dict)
    counted: Collection[TargetName] = ()


async def read(target: Target, run_id: str) -> dict[TargetName, Part]:
    """The parts of a run; raises PublishFailed if another run has published one of the tables since it was loaded."""
    loads = await ledger.partial(target, run_id)
    if not loads:
        return {}
    bases = await ledger.bases(target, [load.live for load in loads])
    found = {load.live: _part(load.load, load.rows, bases.get(load.live), load.base_run) for load in loads}
    if stale := [str(table) for table, part in found.items() if part is None]:
        raise PublishFailed(
            f"run {run_id} has staged the changes of {', '.join(stale)} since an earlier publish, which is not the last"
            " one any more; start a new run"
        )
    return {table: part for table, part in found.items() if part is not None}


def _part(kind: str, rows: int | None, published: Published | None, base_run: str | None) -> Part | None:
    if published is None or published.run_id != base_run or rows is None:
        return None
    return Part(LoadKind(kind), rows, published)


def unchanged(parts: Parts) -> list[TargetName]:
    """The tables of which no row has changed."""
    return [table for table, part in parts.items() if part.kind == LoadKind.UNCHANGED]


async def referenced(target: Target, parts: Parts, tables: Collection[TargetName]) -> set[TargetName]:
    """The other ``tables`` of the run to which a table of ``parts`` refers, directly or through others.

    A foreign key that stays keeps the table to which it refers. So all of that one's rows are merged into it.
    """
    found: set[TargetName] = set()
    oids = [part.published.live.oid for part in parts.values()] if parts.keys() < {*tables} else []
    while oids:
        keys = await foreign_keys.read(target, oids)
        more = {key.referenced for key in keys} & {*tables} - parts.keys() - found
        found |= more
        oids = [state.oid for state in (await untouched.states(target, more)).values()]
    return found


async def refuse_others(target: Target, parts: Parts) -> None:
    """Raises PublishFailed if a live table is another one than the load found; ``balance`` counts its rows."""
    found = await untouched.differing(target, {table: part.published.live for table, part in parts.items()})
    _refuse(f"{table}: {why}" for table, why in found.items())


def _refuse(problems: Iterable[str]) -> None:
    if text := "; ".join(problems):
        raise PublishFailed(f"the changes that are staged do not fit the live tables any more; run again: {text}")


async def keep(target: Target, parts: Parts, *, may_be_touched: bool) -> dict[TargetName, Live]:
    """The states in which unchanged tables stay; drops what others have left in their place in staging.

    If a merge of this publish may have touched such a table, by a trigger or an action of a foreign key, its rows are
    counted. What others have written since the load is found by the next one, as if it had been written a moment later.
    Raises PublishFailed for a table that is not as the load found it.
    """
    left = {table: parts[table] for table in unchanged(parts)}
    if not left:
        return {}
    await refuse_others(target, left)
    if may_be_touched:
        found = {
            table: await untouched.doubt(target, table, part.published.live, part.published.base.rows)
            for table, part in left.items()
        }
        _refuse(f"{table}: {why}" for table, why in found.items() if why)
    await staging.drop(target, left)
    return {table: part.published.live for table, part in left.items()}


async def balance(
    target: Target, merges: Sequence[Merge], beside: Beside, since: int, held: Collection[int]
) -> dict[TargetName, Live]:
    """Compares merged tables with what their loads have counted; returns the states in which the publish leaves them.

    ``since`` is the first transaction that may have merged rows; ``held`` are the numbers of the merges that will
    delete rows later. Raises PublishFailed for a table whose rows do not balance.
    """
    counted = [one for one in merges if one.into.table in beside.counted]
    causes = dict.fromkeys(chain.from_iterable(one.into.side_effects for one in merges))
    states = await untouched.states(target, [one.into.table for one in counted]) if counted else {}
    found = {}
    for one in counted:
        table = one.into.table
        if (now := states.get(table)) is None:
            continue
        rows = sql.SQL("{} AS l").format(one.without_late) if one.number in held else one.into.rows
        part = beside.parts.get(table)
        was = part.published.live if part else None
        left = await untouched.left(target, one, rows, since=since, xmin=now.xmin, was=was)
        if part and left.strange:
            _refuse([f"{table}: others have written {left.strange:,} rows of the live table"])
        if part:
            _refuse_unbalanced(table, part.rows, left, causes)
        found[table] = replace(now, xids=left.xids)
    return found


def _refuse_unbalanced(table: TargetName, rows: int, left: Left, causes: Collection[str]) -> None:
    """Raises PublishFailed if a merge of changes has not left so many rows, or others than it should.

    ``causes`` are the objects that may have changed rows. If nothing but rows are missing, others may have deleted
    these before the publish has locked the table.
    """
    if (left.rows, left.lacking, left.written, left.staying) == (rows, 0, left.merged, 0):
        return
    may_be_others = left.rows < rows and (left.lacking, left.written, left.staying) == (0, left.merged, 0)
    if may_be_others and not causes:
        _refuse([f"{table}: others have deleted {rows - left.rows:,} rows of the live table"])
    remedy = f"drop or disable what changes them: {', '.join(causes)}" if causes else "run again: it is loaded whole"
    others = "run again, if somebody has deleted rows of the live table since the load; else " if may_be_others else ""
    raise PublishFailed(
        f"{table} has {left.rows:,} rows after its changes, and the source {rows:,}; {left.lacking:,} of the changed"
        f" rows are missing, {left.staying:,} of the gone rows are still there, and {left.written:,} rows were written"
        f" instead of {left.merged:,}; {others}{remedy}"
    )
