"""Keeps concurrent runs from interfering with each other, and cleans up after crashed runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from time import monotonic

import structlog

from etl.ledger import ledger
from etl.model.errors import ConfigurationError, TableLocked
from etl.model.selection import Relation, label
from etl.model.status import RunStatus
from etl.sessions.postgres import Source, Target, refuse_untrusted
from etl.sessions.query import target_query
from etl.sessions.url import DatabaseUrl
from etl.target import staging

SAME_RUN_SECONDS = 20.0
"""How long a shard's next attempt waits for the sessions of a killed attempt to end."""

PAUSE = 0.25
"""Seconds between two looks at the locks."""

log = structlog.get_logger()


def application(run_id: str) -> str:
    """The application_name of a run's sessions: it tells other runs which run holds a lock."""
    return f"nightly-etl {run_id}"


async def refuse_same_database(
    source: Source, target: Target, source_url: DatabaseUrl, target_url: DatabaseUrl
) -> None:
    """Raises ConfigurationError if both URLs lead to the same database, whatever their host names and ports.

    Advisory locks are local to a database: if the source's session cannot share a lock that the target's session holds,
    both are in the same database.
    """
    key = random.getrandbits(63)
    await target.execute("SELECT pg_catalog.pg_advisory_lock(%s::bigint)", [key])
    try:
        free = await source.fetchval("SELECT pg_catalog.pg_try_advisory_xact_lock_shared($1::bigint)", key)
    finally:
        await target.execute("SELECT pg_catalog.pg_advisory_unlock(%s::bigint)", [key])
    if not free:
        raise ConfigurationError(
            f"ETL_OPERATIONAL_URL ({source_url}) and ETL_REPORTING_URL ({target_url}) lead to the same"
            " database; a run would replace the tables that it reads"
        )


async def lock(control: Target, run_id: str, chosen: Sequence[Relation]) -> None:
    """Takes the lock of the run and of each live table, until this session ends.

    Waits up to SAME_RUN_SECONDS for sessions of the same run: those of a killed shard may take a moment to end. Raises
    TableLocked, naming the run that holds a table's lock.
    """
    await control.execute(target_query("lock_run"), {"run_id": run_id})
    wanted = [Relation(staging.schema_of(table.schema), table.name) for table in chosen]
    deadline = monotonic() + SAME_RUN_SECONDS
    while True:
        cursor = await control.execute(target_query("lock_tables"), _names(wanted))
        taken = [row for row in await cursor.fetchall() if not row["locked"]]
        if not taken:
            return
        first = taken[0]
        cursor = await control.execute(target_query("lock_holder"), {"schema": first["schema"], "name": first["name"]})
        holder = await cursor.fetchone()
        ours = holder is None or holder["application_name"] == application(run_id)[:63]
        if not ours or monotonic() > deadline:
            break
        wanted = [Relation(row["schema"], row["name"]) for row in taken]
        await asyncio.sleep(PAUSE)
    table = next(one for one in chosen if (staging.schema_of(one.schema), one.name) == (first["schema"], first["name"]))
    who = (
        f"{holder['application_name'].replace('nightly-etl', 'run')}, pid {holder['pid']}" if holder else "another run"
    )
    more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
    raise TableLocked(f"{table}{more} is being loaded by {who}; wait for it to end, or stop it")


async def lock_snapshot(control: Target, run_id: str) -> None:
    """Takes the locks of a run and of its snapshot, until this session ends.

    Raises TableLocked if another process holds a snapshot for the run.
    """
    await control.execute(target_query("lock_run"), {"run_id": run_id})
    cursor = await control.execute(target_query("lock_snapshot"), {"run_id": run_id})
    row = await cursor.fetchone()
    if row is None or not row["locked"]:
        raise TableLocked(f"another process holds a snapshot for run {run_id}; one run has one snapshot")


async def is_snapshot_held(control: Target, run_id: str) -> bool:
    """Whether a process holds a run's snapshot."""
    cursor = await control.execute(target_query("snapshot_held"), {"run_id": run_id})
    row = await cursor.fetchone()
    return row is not None and bool(row["held"])


LOCKS_A_TABLE = 3
"""Locks that a publish takes for each table: the old table, the new table, and one for some of the attachments."""


async def refuse_too_many_locks(target: Target, tables: int) -> None:
    """Raises ConfigurationError if the target has too few locks for one publish of so many tables."""
    cursor = await target.execute(target_query("lock_room"))
    row = await cursor.fetchone()
    assert row is not None
    if (needed := LOCKS_A_TABLE * tables) > row["room"]:
        enough = -(-needed // row["sessions"])
        raise ConfigurationError(
            f"the publish of {tables:,} tables at once takes up to {needed:,} locks, and the target has room for"
            f" {row['room']:,}; set its max_locks_per_transaction from {row['setting']} to {enough} or more"
        )


async def refuse_untrusted_tables(target: Target, tables: Sequence[Relation], *, has_ledger: bool = True) -> None:
    """Raises ConfigurationError naming live tables that an untrusted role has created and no run has published.

    The publish would reattach their constraints, indexes and triggers, and run their owner's functions as this
    session's role. The ledger records the tables that were published; without a ledger, none was.
    """
    cursor = await target.execute(target_query("untrusted_tables" if has_ledger else "owners"), _names(tables))
    rows = [row for row in await cursor.fetchall() if not row["is_superuser"]]
    found = {f"table {label(row['schema'], row['name'])}": row["owner"] for row in rows}
    refuse_untrusted(found, target.info.user)


async def try_lock(target: Target, relations: Sequence[Relation]) -> bool:
    """Tries to take the lock of each relation's staging table, until this session ends; takes all locks, or none."""
    names = _names([Relation(staging.schema_of(one.schema), one.name) for one in relations])
    cursor = await target.execute(target_query("lock_tables"), names)
    got = [Relation(row["schema"], row["name"]) for row in await cursor.fetchall() if row["locked"]]
    if len(got) < len(relations):
        await target.execute(target_query("unlock_tables"), _names(got))
    return len(got) == len(relations)


async def unlock(target: Target, relations: Sequence[Relation]) -> None:
    """Releases the locks that ``try_lock`` took."""
    if not relations:
        return
    names = _names([Relation(staging.schema_of(one.schema), one.name) for one in relations])
    await target.execute(target_query("unlock_tables"), names)


async def clear(control: Target, run_id: str, chosen: Sequence[Relation]) -> None:
    """Drops the staging tables and old tables that killed runs left, and closes these runs in the ledger.

    Takes the run's live tables. A staging table or old table counts as left if the ledger has an entry of it, no
    session holds its lock, and it does not wait for ``etl publish``.
    """
    await ledger.supersede(control, run_id, chosen)
    for dead in await _dead_runs(control, run_id):
        tables = [ledger.live_of(load) for load in await ledger.loads_of(control, [dead])]
        await ledger.not_published(control, dead, "never published; its run was killed", tables)
        await ledger.close_run(control, dead, RunStatus.INTERRUPTED, f"killed; run {run_id} cleared up after it")
        log.warning("run.cleared", dead_run_id=dead)
    others = await ledger.known(control) - {Relation(one.schema, one.name) for one in chosen}
    there = {(table.schema, table.name) for table in await staging.tables(control)}
    if there:  # views that a killed publish has staged on tables that this run will replace
        await staging.drop_views(control, map(staging.staging_name, chosen))
    left = [
        table
        for table in others
        if {(staging.schema_of(table.schema), table.name), (staging.aside_of(table.schema), table.name)} & there
    ]
    free = [table for table in left if await try_lock(control, [table])]
    if not free:
        return
    # read under the locks: a run that has just released its locks may have left its tables for `etl publish`
    dropped = set(free) - await ledger.deferred(control)
    await staging.drop(control, dropped)
    await staging.drop_aside(control, dropped)
    await unlock(control, free)


async def _dead_runs(control: Target, run_id: str) -> list[str]:
    """Lists the runs that are running according to the ledger, and that have no session any more."""
    believed = [row["run_id"] for row in await ledger.running(control) if row["run_id"] != run_id]
    if not believed:
        return []
    cursor = await control.execute(target_query("dead_runs"), {"run_ids": believed})
    return [row["run_id"] for row in await cursor.fetchall()]


def _names(tables: Sequence[Relation]) -> dict[str, list[str]]:
    return {"schemas": [table.schema for table in tables], "names": [table.name for table in tables]}
