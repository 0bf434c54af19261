"""Loads, in ``etl.loads``: the tables of a run with their status, and the results of published loads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg import AsyncClientCursor, AsyncCursor

from etl.ledger.book import now
from etl.ledger.rows import Kept, LoadRow, Newer, Partial, PastLoads, RecentLoad, Shape
from etl.ledger.runs import refuse_ended
from etl.model import limits
from etl.model.base import Base, Live, Published
from etl.model.gate import Count
from etl.model.name import Planned, TargetName, arrays
from etl.model.record import Load
from etl.model.redaction import Redacted, own_words
from etl.model.status import LoadStatus
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query
from etl.sessions.stage import Stage

UNPUBLISHED = (LoadStatus.PLANNED, LoadStatus.LOADING, LoadStatus.STAGED)
"""The statuses of a load that has not ended; the others are published and failed."""


async def loads_of(target: Target, run_ids: Sequence[str], table: str | None = None) -> list[LoadRow]:
    """The loads of these runs, of all tables or of one of the source, in the order in which they started."""
    asked = {"run_ids": list(run_ids), "table": table or ""}
    return await rows(target, LoadRow, target_query("ledger/loads"), asked)


async def nights(target: Target, table: str, most: int, status: str | None = None, *, job: str | None) -> list[str]:
    """The last runs that have loaded a table of the source; with any result, or only with the load's ``status``.

    With a ``job``, runs of other jobs do not count.
    """
    asked = {"name": table, "status": status or "", "most": most, "job": job or ""}
    cursor = await target.execute(target_query("ledger/nights"), asked)
    return [row["run_id"] for row in await cursor.fetchall()]


async def loaded(target: Target, *, job: str | None) -> list[str]:
    """The source's tables that the ledger has loads of; with a ``job``, of its runs."""
    cursor = await target.execute(target_query("ledger/loaded"), {"job": job or ""})
    return [row["table_name"] for row in await cursor.fetchall()]


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
    begun = [
        {
            "run_id": run_id,
            "table_name": str(table.source),
            "schema_name": table.live.schema,
            "relation_name": table.live.name,
            "shard": None if shard is None else str(shard),
            "status": status,
            "at": now(),
        }
        for table in tables
    ]
    async with target.cursor() as cursor:
        await cursor.executemany(target_query("ledger/begin_load" if anew else "ledger/begin_planned_load"), begun)


async def forget_plan(target: Target, run_id: str) -> None:
    """Deletes the loads of a run that no process has begun."""
    await target.execute(target_query("ledger/forget_plan"), {"run_id": run_id})


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
        "error": load.error and encoding.spelt(target, load.error),
        "reason": load.reason and encoding.spelt(target, load.reason),
        "note": load.note and encoding.spelt(target, load.note),
        "drift": load.drift and encoding.spelt(target, load.drift),
    }


def _record() -> bytes:
    return f"{Stage.RECORD} ".encode() + target_query("ledger/record_load")


async def staging_oids(target: Target, run_id: str) -> dict[TargetName, int]:
    """The oids of the staging tables that a run has filled, by live table."""
    return await _by_live(target, "staging_oids", "oid", {"run_id": run_id})


async def is_staged(target: Target, run_id: str, live: TargetName, oid: int) -> bool:
    """Whether a run has staged a live table in the staging table of this oid."""
    return (await staging_oids(target, run_id)).get(live) == oid


async def newest_xids(target: Target, run_id: str) -> dict[TargetName, int]:
    """The newest transaction that wrote the rows of each load whose rows are not frozen, by live table."""
    return await _by_live(target, "newest_xids", "newest_xid", {"run_id": run_id})


async def carried(target: Target, live: Sequence[TargetName]) -> dict[TargetName, frozenset[str]]:
    """The names of the indexes and constraints that came from the source in the last published load, by live table."""
    names = await _by_live(target, "carried", "carried", arrays(live))
    return {table: frozenset(names.get(table) or ()) for table in live}


async def shapes(target: Target, live: Sequence[TargetName]) -> dict[TargetName, Shape]:
    """What the last load brought that replaced each live table; not of older versions."""
    return {one.live: one for one in await rows(target, Shape, target_query("ledger/shapes"), arrays(live))}


async def bases(target: Target, live: Sequence[TargetName]) -> dict[TargetName, Published]:
    """The last published load of each live table, if the next load may be a delta of it."""
    wanted = {**arrays(live), "least": limits.MERGE_ROWS, "since": limits.MERGE_TOLD}
    cursor = await target.execute(target_query("ledger/bases"), wanted)
    found = {}
    for row in await cursor.fetchall():
        base, state = Base.of(row["base"]), Live.of(row["live_state"])
        if base is not None and state is not None:
            more = row["row_seconds"], row["rows_deleted"]
            found[TargetName(row["schema"], row["name"])] = Published(row["run_id"], base, state, *more)
    return found


async def forget_bases(target: Target, found: Mapping[TargetName, Published]) -> None:
    """Writes that the next load of these live tables may not be a delta of these published loads."""
    if found:
        run_ids = [published.run_id for published in found.values()]
        await target.execute(target_query("ledger/forget_bases"), {"run_ids": run_ids, **arrays(found)})


async def views(target: Target, live: Sequence[TargetName]) -> dict[TargetName, Mapping[str, Any]]:
    """What the last publish of each live table has done with the materialized views on it, by their names."""
    return {table: found for table, found in (await _by_live(target, "views", "views", arrays(live))).items() if found}


async def record_views(target: Target, run_id: str, found: Mapping[TargetName, Mapping[str, Any]]) -> None:
    """Writes what a publish has done with the materialized views on each live table."""
    texts = [json.dumps(one) for one in found.values()]
    await target.execute(target_query("ledger/record_views"), {"run_id": run_id, **arrays(found), "views": texts})


async def partial(target: Target, run_id: str) -> list[Partial]:
    """The staged loads of a run that have only the changes of a table's rows, or none."""
    return await rows(target, Partial, target_query("ledger/partial"), {"run_id": run_id})


async def with_base(target: Target, run_id: str) -> dict[TargetName, Mapping[str, Any]]:
    """The bases of the next loads that a run has staged, as the ledger has them, by live table."""
    return await _by_live(target, "with_base", "base", {"run_id": run_id})


async def brought(target: Target, run_id: str) -> dict[TargetName, frozenset[str]]:
    """The names of the indexes and constraints that came from the source in a run's loads, by live table."""
    names = await _by_live(target, "brought", "carried", {"run_id": run_id})
    return {table: frozenset(carried or ()) for table, carried in names.items()}


async def deferred(target: Target) -> set[TargetName]:
    """The live tables of loads that wait for ``etl publish``, also of runs that were stopped."""
    return set(await rows(target, TargetName, target_query("ledger/deferred")))


async def counts(target: Target, run_id: str) -> list[Count]:
    """The rows of each table of a run, beside those of the last published load of the same live table."""
    return await rows(target, Count, target_query("row_counts"), {"run_id": run_id})


async def kept(target: Target) -> list[Kept]:
    """The tables that runs which were stopped have staged."""
    return await rows(target, Kept, target_query("ledger/kept"))


async def newer(target: Target, since: datetime, tables: Sequence[Planned]) -> list[Newer]:
    """The changes of these tables' live tables since an instant, by other runs or by batches."""
    names = {"tables": [str(table.source) for table in tables], **arrays(table.live for table in tables)}
    return await rows(target, Newer, target_query("ledger/newer"), {"since": since, **names})


async def not_published_last(target: Target, tables: Sequence[str], job: str | None) -> list[str]:
    """Those of these source tables whose last load was not published, or that were never loaded.

    With a ``job``, runs of other jobs do not count.
    """
    cursor = await target.execute(target_query("ledger/last_loads"), {"names": list(tables), "job": job or ""})
    return [row["table_name"] for row in await cursor.fetchall()]


async def known(target: Target) -> set[TargetName]:
    """All live tables in the ledger, of all runs."""
    return set(await rows(target, TargetName, target_query("ledger/known")))


async def recent(target: Target, tables: Sequence[str], most: int, before: str = "") -> dict[str, list[RecentLoad]]:
    """The last published loads of these source tables, at most ``most`` of each, the newest first.

    The loads of the run ``before`` are left out.
    """
    wanted = {"names": list(tables), "most": most, "before": before}
    by_table: dict[str, list[RecentLoad]] = {}
    for row in await rows(target, RecentLoad, target_query("recent_loads"), wanted):
        by_table.setdefault(row.table_name, []).append(row)
    return by_table


async def past(target: Target, tables: Sequence[str], most: int, job: str | None) -> dict[str, PastLoads]:
    """What at most ``most`` last published loads of these source tables tell, for each table that has some.

    With a ``job``, runs of other jobs do not count.
    """
    wanted = {"names": list(tables), "most": most, "job": job or ""}
    found = await rows(target, PastLoads, target_query("past_loads"), wanted)
    return {row.table_name: row for row in found}


async def published(
    target: Target,
    run_id: str,
    swapped: Iterable[TargetName],
    replaced: Mapping[TargetName, int],
    *,
    lives: Mapping[TargetName, Live],
    merged: Mapping[TargetName, float],
) -> None:
    """Writes that staged loads are published, in the transaction of the publish.

    ``swapped`` are the live tables that staging tables have replaced. ``replaced`` has the oids of the live tables
    whose rows were replaced in place. ``lives`` are the tables that the next load may find unchanged. ``merged`` has
    the seconds that the rows of live tables took to merge.
    """
    done = {"run_id": run_id, "at": now()}
    await target.execute(target_query("ledger/publish_swapped"), {**done, **arrays(swapped)})
    if replaced:
        oids = list(replaced.values())
        await target.execute(target_query("ledger/publish_in_place"), {**done, **arrays(replaced), "oids": oids})
    if lives:
        states = [state.dumps() for state in lives.values()]
        left = {"run_id": run_id, **arrays(lives), "states": states}
        await target.execute(target_query("ledger/record_live_states"), left)
    if merged:
        took = {"run_id": run_id, **arrays(merged), "seconds": list(merged.values())}
        await target.execute(target_query("ledger/record_merges"), took)


async def not_published(target: Target, run_id: str, error: Redacted, live: Iterable[TargetName]) -> None:
    """Writes that the unpublished loads of these live tables in a run have failed.

    If the run has ended before, the loads are marked as given up: the end of the run is the cause.
    """
    await target.execute(target_query("ledger/fail_loads"), _failure(target, run_id, error, live))


async def supersede(target: Target, run_id: str, live: Iterable[TargetName]) -> None:
    """Writes that unpublished loads of other runs were given up, because ``run_id`` loads their live tables now."""
    error = own_words(f"never published; run {run_id} took the table over")
    await target.execute(target_query("ledger/fail_other_loads"), _failure(target, run_id, error, live))


def _failure(target: Target, run_id: str, error: Redacted, live: Iterable[TargetName]) -> dict[str, Any]:
    failed = {"run_id": run_id, "error": encoding.spelt(target, error), "statuses": list(UNPUBLISHED)}
    return {**failed, **arrays(live)}


async def _by_live(target: Target, name: str, column: str, values: Mapping[str, Any]) -> dict[TargetName, Any]:
    """A column of the query ``ledger/<name>``, by live table."""
    cursor = await target.execute(target_query(f"ledger/{name}"), values)
    return {TargetName(row["schema"], row["name"]): row[column] for row in await cursor.fetchall()}
