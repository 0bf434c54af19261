"""Loads, in ``etl.loads``: the tables of a run, how far each is, and what the last published one brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from typing import Any

import sqlalchemy as sa
from psycopg import AsyncClientCursor, AsyncCursor
from sqlalchemy.dialects.postgresql import insert

from etl.ledger.book import compiled, execute, fetch, loads, now, runs
from etl.ledger.runs import refuse_ended
from etl.model.name import Planned, TargetName, arrays
from etl.model.record import Load
from etl.model.redaction import Redacted, own_words
from etl.model.status import LoadStatus, RunStatus
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.stage import Stage

UNPUBLISHED = (LoadStatus.PLANNED, LoadStatus.LOADING, LoadStatus.STAGED)
"""The statuses of a load that is under way; the others are published and failed."""


def live_of(load: Mapping[str, Any]) -> TargetName:
    """Gives the live table of a load's row."""
    return TargetName(load["schema_name"], load["relation_name"])


async def loads_of(target: Target, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Gives the loads of the runs given, in the order in which they started."""
    statement = sa.select(loads).where(loads.c.run_id.in_(run_ids)).order_by(loads.c.started_at, loads.c.table_name)
    return await fetch(target, statement)


async def begin_loads(
    target: Target,
    run_id: str,
    tables: Iterable[Planned],
    shard: int | None = None,
    *,
    status: LoadStatus = LoadStatus.LOADING,
    anew: bool = True,
) -> None:
    """Writes which tables a run, or a shard of it, is to load: until they are staged, nobody may publish the run.

    What this run knows of them is forgotten where they begin ``anew``, and
    stays otherwise, but that they are planned.
    """
    names = ("run_id", "table_name", "schema_name", "relation_name", "shard", "status", "started_at")
    statement = insert(loads).values({name: sa.bindparam(name) for name in names})
    reset = (*names[4:], "error", "given_up", "finished_at", "published_at")
    fresh = {name: statement.excluded[name] for name in reset}
    is_planned = loads.c.status == sa.literal_column(f"'{LoadStatus.PLANNED}'")  # the only parameters are the rows'
    begun = {name: statement.excluded[name] for name in ("status", "started_at")}
    key = ["run_id", "table_name"]
    text, _ = compiled(
        statement.on_conflict_do_update(index_elements=key, set_=fresh)
        if anew
        else statement.on_conflict_do_update(index_elements=key, set_=begun, where=is_planned)
    )
    number = None if shard is None else str(shard)
    rows = [(run_id, str(one.source), one.live.schema, one.live.name, number, status, now()) for one in tables]
    async with target.cursor() as cursor:
        await cursor.executemany(text, [dict(zip(names, row, strict=True)) for row in rows])


async def forget_plan(target: Target, run_id: str) -> None:
    """Deletes the loads of a run that no process has begun."""
    await execute(target, sa.delete(loads).where(loads.c.run_id == run_id, loads.c.status == LoadStatus.PLANNED))


async def record(target: Target, run_id: str, load: Load) -> None:
    """Writes what became of a load; a new try takes the place of the old one."""
    await target.execute(_record(), _values(target, run_id, load))


async def stage(target: Target, run_id: str, load: Load, asked: AsyncCursor[dict[str, Any]]) -> None:
    """Writes that a load is staged, and commits the caller's transaction with it.

    Takes the cursor on the answer to ``ask_state`` in that transaction. Raises RunEnded where the run was given up
    meanwhile, or has another snapshot by now.
    """
    refuse_ended(run_id, load.snapshot_id, await asked.fetchall())
    # whose values are bound here: with parameters the server takes one statement at a time
    await AsyncClientCursor(target).execute(_record() + b"; COMMIT", _values(target, run_id, load))


def _values(target: Target, run_id: str, load: Load) -> dict[str, Any]:
    return asdict(load) | {
        "carried": list(load.carried),
        "masked": list(load.masked),
        "run_id": run_id,
        "published_at": None,
        "error": load.error and encoding.spelt(target, load.error),
    }


@cache
def _record() -> bytes:
    # Compiled once, as _state is: it would be a third of a tiny table's CPU.
    key = ["run_id", "table_name"]
    names = [*key, *(field.name for field in fields(Load) if field.name not in key), "published_at"]
    statement = insert(loads).prefix_with(Stage.RECORD).values({name: sa.bindparam(name) for name in names})
    changes = {name: statement.excluded[name] for name in names if name not in key}
    text, _ = compiled(statement.on_conflict_do_update(index_elements=key, set_=changes))
    return text


async def staging_oids(target: Target, run_id: str) -> dict[TargetName, int]:
    """Gives the oid of each staging table that a run has filled, by the live table's name."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.status == LoadStatus.STAGED)
    return {live_of(row): row["staging_oid"] for row in await fetch(target, statement)}


async def is_staged(target: Target, run_id: str, live: TargetName, oid: int) -> bool:
    """Tells whether a run has staged a live table in the staging table of this oid."""
    return (await staging_oids(target, run_id)).get(live) == oid


async def newest_xids(target: Target, run_id: str) -> dict[TargetName, int]:
    """Gives, by the live table's name, the newest transaction that wrote a staged table's rows, if not frozen."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.newest_xid.is_not(None))
    return {live_of(row): row["newest_xid"] for row in await fetch(target, statement)}


async def carried(target: Target, live: Sequence[TargetName]) -> dict[TargetName, frozenset[str]]:
    """Gives, by live table, the names of the indexes and constraints that its last published load brought."""
    statement = (
        sa.select(loads.c.schema_name, loads.c.relation_name, loads.c.carried)
        .where(loads.c.status == LoadStatus.PUBLISHED)
        .order_by(loads.c.schema_name, loads.c.relation_name, loads.c.published_at.desc())
        .distinct(loads.c.schema_name, loads.c.relation_name)
    )
    found = {live_of(row): frozenset(row["carried"] or []) for row in await fetch(target, statement)}
    return {one: found.get(one, frozenset()) for one in live}


async def brought(target: Target, run_id: str) -> dict[TargetName, frozenset[str]]:
    """Gives the same of what a run has staged."""
    statement = sa.select(loads).where(loads.c.run_id == run_id)
    return {live_of(row): frozenset(row["carried"] or []) for row in await fetch(target, statement)}


async def deferred(target: Target) -> set[TargetName]:
    """Gives the live tables that wait for ``etl publish``."""
    statement = (
        sa.select(loads.c.schema_name, loads.c.relation_name)
        .join(runs, runs.c.run_id == loads.c.run_id)
        .where(loads.c.status == LoadStatus.STAGED, runs.c.status == RunStatus.RUNNING, runs.c.publish == "defer")
    )
    return {live_of(row) for row in await fetch(target, statement)}


async def known(target: Target) -> set[TargetName]:
    """Gives every live table that any run was ever to load."""
    statement = sa.select(loads.c.schema_name, loads.c.relation_name).distinct()
    return {live_of(row) for row in await fetch(target, statement)}


async def recent(target: Target, tables: Sequence[str], most: int, before: str = "") -> dict[str, list[dict[str, Any]]]:
    """Gives the last published loads of the tables named, ``most`` of each, the newest first.

    Takes the run that is not to be looked at.
    """
    wanted = {"names": list(tables), "most": most, "before": before}
    cursor = await target.execute(target_query("recent_loads"), wanted)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await cursor.fetchall():
        found.setdefault(row["table_name"], []).append(row)
    return found


async def published(
    target: Target, run_id: str, swapped: Iterable[TargetName], replaced: Mapping[TargetName, int]
) -> None:
    """Writes that staged loads are live, in the publish's own transaction.

    Takes the live tables that are swapped, and the oids of those whose rows were replaced in place.
    """
    whose, done = loads.c.run_id == run_id, {"status": LoadStatus.PUBLISHED, "published_at": now()}
    swap = sa.update(loads).where(whose, _arrive_as(swapped))
    await execute(target, swap.values(**done, live_oid=loads.c.staging_oid))
    for table, oid in replaced.items():
        await execute(target, sa.update(loads).where(whose, _arrive_as([table])).values(**done, live_oid=oid))


async def not_published(target: Target, run_id: str, error: Redacted, live: Iterable[TargetName]) -> None:
    """Writes that what a run had staged, or not yet staged, of the live tables named was given up.

    Where the run has ended by then, that is why.
    """
    await _fail(target, loads.c.run_id == run_id, live, error)


async def supersede(target: Target, run_id: str, live: Iterable[TargetName]) -> None:
    """Writes that ``run_id`` took over live tables that another run had staged and never published."""
    await _fail(target, loads.c.run_id != run_id, live, own_words(f"never published; run {run_id} took the table over"))


async def _fail(target: Target, whose: sa.ColumnElement[bool], live: Iterable[TargetName], error: Redacted) -> None:
    failing = sa.update(loads).where(whose, loads.c.status.in_(UNPUBLISHED), _arrive_as(live))
    has_ended = sa.select(runs.c.status != RunStatus.RUNNING).where(runs.c.run_id == loads.c.run_id).scalar_subquery()
    changes = {"status": LoadStatus.FAILED, "error": encoding.spelt(target, error), "given_up": has_ended}
    await execute(target, failing.values(changes))


def _arrive_as(live: Iterable[TargetName]) -> sa.ColumnElement[bool]:
    """Gives the condition on the loads of the live tables named: they, not the source's, are what runs share.

    Arrays, because a list of 10,000 pairs is deeper than the server's stack (``max_stack_depth``).
    """
    pairs = sa.func.unnest(*(sa.literal(part, sa.ARRAY(sa.Text)) for part in arrays(live).values()))
    wanted = sa.select(pairs.table_valued("schema", "name").render_derived())
    return sa.tuple_(loads.c.schema_name, loads.c.relation_name).in_(wanted)
