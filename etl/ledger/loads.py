"""Loads, in ``etl.loads``: the tables of a run with their status, and the results of published loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from psycopg import AsyncClientCursor, AsyncCursor
from sqlalchemy.dialects.postgresql import distinct_on, insert

from etl.ledger.book import compiled, execute, fetch, loads, now, runs, watermarks
from etl.ledger.rows import Kept, LoadRow, Newer, RecentLoad
from etl.ledger.runs import refuse_ended
from etl.model.base import Base, Live, Published
from etl.model.gate import Count
from etl.model.name import Planned, TargetName, arrays
from etl.model.record import Load
from etl.model.redaction import Redacted, own_words
from etl.model.status import LoadKind, LoadStatus, RunStatus
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query
from etl.sessions.stage import Stage

UNPUBLISHED = (LoadStatus.PLANNED, LoadStatus.LOADING, LoadStatus.STAGED)
"""The statuses of a load that has not ended; the others are published and failed."""

_NAME = (loads.c.schema_name.label("schema"), loads.c.relation_name.label("name"))
"""The columns that make a live table's name."""


async def loads_of(target: Target, run_ids: Sequence[str]) -> list[LoadRow]:
    """The loads of these runs, in the order in which they started."""
    statement = sa.select(loads).where(loads.c.run_id.in_(run_ids)).order_by(loads.c.started_at, loads.c.table_name)
    return await fetch(target, statement, LoadRow)


async def begin_loads(
    target: Target,
    run_id: str,
    tables: Iterable[Planned],
    shard: int | None = None,
    *,
    status: LoadStatus = LoadStatus.LOADING,
    anew: bool = True,
) -> None:
    """Writes the tables that a run, or a shard of it, is to load. The run is not published until they are staged.

    If they begin ``anew``, the state of an earlier attempt of this run is reset. Otherwise only loads that are planned
    get the new status.
    """
    names = ("run_id", "table_name", "schema_name", "relation_name", "shard", "status", "started_at")
    statement = insert(loads).values({name: sa.bindparam(name) for name in names})
    reset = (*names[4:], "error", "given_up", "finished_at", "published_at")
    fresh = {name: statement.excluded[name] for name in reset}
    # a literal, because executemany's only parameters are the values of the rows
    is_planned = loads.c.status == sa.literal_column(f"'{LoadStatus.PLANNED}'")
    begun = {name: statement.excluded[name] for name in ("status", "started_at")}
    key = ["run_id", "table_name"]
    text, _ = compiled(
        statement.on_conflict_do_update(index_elements=key, set_=fresh)
        if anew
        else statement.on_conflict_do_update(index_elements=key, set_=begun, where=is_planned)
    )
    number = None if shard is None else str(shard)
    values = [
        (run_id, str(table.source), table.live.schema, table.live.name, number, status, now()) for table in tables
    ]
    async with target.cursor() as cursor:
        await cursor.executemany(text, [dict(zip(names, row, strict=True)) for row in values])


async def forget_plan(target: Target, run_id: str) -> None:
    """Deletes the loads of a run that no process has begun."""
    await execute(target, sa.delete(loads).where(loads.c.run_id == run_id, loads.c.status == LoadStatus.PLANNED))


async def record(target: Target, run_id: str, load: Load) -> None:
    """Writes the result of a load, in place of that of an earlier attempt."""
    await target.execute(_record(), _values(target, run_id, load))


async def stage(target: Target, run_id: str, load: Load, asked: AsyncCursor[dict[str, Any]]) -> None:
    """Writes that a load is staged, and commits the caller's transaction with it.

    ``asked`` is the cursor on the result of ``ask_state`` in that transaction. Raises RunEnded if the run has ended, or
    has taken another snapshot.
    """
    refuse_ended(run_id, load.snapshot_id, await asked.fetchall())
    # a client-side cursor, because the server accepts only one statement at a time with parameters
    await AsyncClientCursor(target).execute(_record() + b"; COMMIT", _values(target, run_id, load))


def _values(target: Target, run_id: str, load: Load) -> dict[str, Any]:
    return asdict(load) | {
        "carried": list(load.carried),
        "masked": list(load.masked),
        "run_id": run_id,
        "published_at": None,
        "error": load.error and encoding.spelt(target, load.error),
        "reason": load.reason and encoding.spelt(target, load.reason),
    }


@cache
def _record() -> bytes:
    # Cached like runs._state, because compiling it takes a third of the CPU time of a tiny table.
    key = ["run_id", "table_name"]
    names = [*key, *(field.name for field in fields(Load) if field.name not in key), "published_at"]
    statement = insert(loads).prefix_with(Stage.RECORD).values({name: sa.bindparam(name) for name in names})
    changes = {name: statement.excluded[name] for name in names if name not in key}
    text, _ = compiled(statement.on_conflict_do_update(index_elements=key, set_=changes))
    return text


async def staging_oids(target: Target, run_id: str) -> dict[TargetName, int]:
    """The oids of the staging tables that a run has filled, by live table."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.status == LoadStatus.STAGED)
    return {row.live: row.staged_oid for row in await fetch(target, statement, LoadRow) if row.staged_oid is not None}


async def is_staged(target: Target, run_id: str, live: TargetName, oid: int) -> bool:
    """Whether a run has staged a live table in the staging table of this oid."""
    return (await staging_oids(target, run_id)).get(live) == oid


async def newest_xids(target: Target, run_id: str) -> dict[TargetName, int]:
    """The newest transaction that wrote the rows of each load whose rows are not frozen, by live table."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.newest_xid.is_not(None))
    return {row.live: row.newest_xid for row in await fetch(target, statement, LoadRow) if row.newest_xid is not None}


async def carried(target: Target, live: Sequence[TargetName]) -> dict[TargetName, frozenset[str]]:
    """The names of the indexes and constraints that came from the source in the last published load, by live table."""
    statement = (
        sa.select(loads)
        .ext(distinct_on(loads.c.schema_name, loads.c.relation_name))
        .where(loads.c.status == LoadStatus.PUBLISHED)
        .order_by(loads.c.schema_name, loads.c.relation_name, loads.c.published_at.desc())
    )
    names = {row.live: frozenset(row.carried or []) for row in await fetch(target, statement, LoadRow)}
    return {table: names.get(table, frozenset()) for table in live}


async def bases(target: Target, live: Sequence[TargetName]) -> dict[TargetName, Published]:
    """The last published load of each live table, if the next load may be a delta of it."""
    statement = (
        sa.select(loads)
        .ext(distinct_on(loads.c.schema_name, loads.c.relation_name))
        .where(loads.c.status == LoadStatus.PUBLISHED, _arrive_as(live))
        .order_by(loads.c.schema_name, loads.c.relation_name, loads.c.published_at.desc())
    )
    found = {}
    for row in await fetch(target, statement, LoadRow):
        base, state = Base.of(row.base), Live.of(row.live_state)
        if base is not None and state is not None:
            found[row.live] = Published(row.run_id, base, state)
    return found


async def forget_bases(target: Target, found: Mapping[TargetName, Published]) -> None:
    """Writes that the next load of these live tables may not be a delta of these published loads."""
    for table, one in found.items():
        forget = sa.update(loads).where(loads.c.run_id == one.run_id, _arrive_as([table]))
        await execute(target, forget.values(live_state=sa.null()))


async def partial(target: Target, run_id: str) -> list[LoadRow]:
    """The staged loads of a run that have only the changes of a table's rows, or none."""
    statement = sa.select(loads).where(
        loads.c.run_id == run_id,
        loads.c.status == LoadStatus.STAGED,
        loads.c.load.in_([LoadKind.DELTA, LoadKind.UNCHANGED]),
    )
    return await fetch(target, statement, LoadRow)


async def with_base(target: Target, run_id: str) -> list[LoadRow]:
    """The staged loads of a run that may be the base of the next ones."""
    statement = sa.select(loads).where(
        loads.c.run_id == run_id, loads.c.status == LoadStatus.STAGED, loads.c.base.is_not(None)
    )
    return await fetch(target, statement, LoadRow)


async def brought(target: Target, run_id: str) -> dict[TargetName, frozenset[str]]:
    """The names of the indexes and constraints that came from the source in a run's loads, by live table."""
    statement = sa.select(loads).where(loads.c.run_id == run_id)
    return {row.live: frozenset(row.carried or []) for row in await fetch(target, statement, LoadRow)}


async def deferred(target: Target) -> set[TargetName]:
    """The live tables of loads that wait for ``etl publish``, also of runs that were stopped."""
    waits = sa.and_(runs.c.status == RunStatus.RUNNING, runs.c.publish == "defer")
    statement = (
        sa.select(*_NAME)
        .join(runs, runs.c.run_id == loads.c.run_id)
        .where(loads.c.status == LoadStatus.STAGED, sa.or_(waits, runs.c.status == RunStatus.STOPPED))
    )
    return set(await fetch(target, statement, TargetName))


async def counts(target: Target, run_id: str) -> list[Count]:
    """The rows of each table of a run, beside those of the last published load of the same live table."""
    return await rows(target, Count, target_query("row_counts"), {"run_id": run_id})


async def kept(target: Target) -> list[Kept]:
    """The tables that runs which were stopped have staged."""
    statement = (
        sa.select(runs.c.run_id, runs.c.kept_until, *_NAME)
        .join(loads, runs.c.run_id == loads.c.run_id)
        .where(loads.c.status == LoadStatus.STAGED, runs.c.status == RunStatus.STOPPED)
        .order_by(runs.c.run_id, loads.c.table_name)
    )
    return await fetch(target, statement, Kept)


async def newer(target: Target, since: datetime, tables: Sequence[Planned]) -> list[Newer]:
    """The changes of these tables' live tables since an instant, by other runs or by batches."""
    live, names = [table.live for table in tables], [str(table.source) for table in tables]
    by_run = sa.select(loads.c.table_name, loads.c.run_id).where(loads.c.published_at > since, _arrive_as(live))
    by_batch = sa.select(watermarks.c.table_name, sa.null()).where(
        watermarks.c.updated_at > since, watermarks.c.table_name == sa.any_(sa.literal(names, sa.ARRAY(sa.Text)))
    )
    return await fetch(target, sa.union_all(by_run, by_batch).order_by(sa.text("1, 2")), Newer)


async def known(target: Target) -> set[TargetName]:
    """All live tables in the ledger, of all runs."""
    statement = sa.select(*_NAME).where(loads.c.schema_name.is_not(None)).distinct()
    return set(await fetch(target, statement, TargetName))


async def recent(target: Target, tables: Sequence[str], most: int, before: str = "") -> dict[str, list[RecentLoad]]:
    """The last published loads of these source tables, at most ``most`` of each, the newest first.

    The loads of the run ``before`` are left out.
    """
    wanted = {"names": list(tables), "most": most, "before": before}
    by_table: dict[str, list[RecentLoad]] = {}
    for row in await rows(target, RecentLoad, target_query("recent_loads"), wanted):
        by_table.setdefault(row.table_name, []).append(row)
    return by_table


async def published(
    target: Target,
    run_id: str,
    swapped: Iterable[TargetName],
    replaced: Mapping[TargetName, int],
    lives: Mapping[TargetName, Live],
) -> None:
    """Writes that staged loads are published, in the transaction of the publish.

    ``swapped`` are the live tables that staging tables have replaced. ``replaced`` has the oids of the live tables
    whose rows were replaced in place. ``lives`` are the tables that the next load may find unchanged.
    """
    whose, done = loads.c.run_id == run_id, {"status": LoadStatus.PUBLISHED, "published_at": now()}
    swap = sa.update(loads).where(whose, _arrive_as(swapped))
    await execute(target, swap.values(**done, live_oid=loads.c.staging_oid))
    for table, oid in replaced.items():
        await execute(target, sa.update(loads).where(whose, _arrive_as([table])).values(**done, live_oid=oid))
    for table, state in lives.items():
        await execute(target, sa.update(loads).where(whose, _arrive_as([table])).values(live_state=state.dumps()))


async def not_published(target: Target, run_id: str, error: Redacted, live: Iterable[TargetName]) -> None:
    """Writes that the unpublished loads of these live tables in a run have failed.

    If the run has ended before, the loads are marked as given up: the end of the run is the cause.
    """
    await _fail(target, loads.c.run_id == run_id, live, error)


async def supersede(target: Target, run_id: str, live: Iterable[TargetName]) -> None:
    """Writes that unpublished loads of other runs have failed, because ``run_id`` loads their live tables now."""
    await _fail(target, loads.c.run_id != run_id, live, own_words(f"never published; run {run_id} took the table over"))


async def _fail(target: Target, whose: sa.ColumnElement[bool], live: Iterable[TargetName], error: Redacted) -> None:
    failing = sa.update(loads).where(whose, loads.c.status.in_(UNPUBLISHED), _arrive_as(live))
    has_ended = sa.select(runs.c.status != RunStatus.RUNNING).where(runs.c.run_id == loads.c.run_id).scalar_subquery()
    changes = {"status": LoadStatus.FAILED, "error": encoding.spelt(target, error), "given_up": has_ended}
    await execute(target, failing.values(changes))


def _arrive_as(live: Iterable[TargetName]) -> sa.ColumnElement[bool]:
    """The condition for the loads of these live tables.

    It uses arrays, because a list of 10,000 pairs exceeds the server's ``max_stack_depth``.
    """
    pairs = sa.func.unnest(*(sa.literal(part, sa.ARRAY(sa.Text)) for part in arrays(live).values()))
    wanted = sa.select(pairs.table_valued("schema", "name").render_derived())
    return sa.tuple_(loads.c.schema_name, loads.c.relation_name).in_(wanted)
