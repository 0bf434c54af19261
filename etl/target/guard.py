"""Keeps concurrent runs from interfering with each other, and cleans up after crashed runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import ConfigurationError, TableLocked
from etl.model.name import TargetName, arrays, label
from etl.model.redaction import own_words
from etl.model.status import RunStatus
from etl.sessions import advisory, query
from etl.sessions.postgres import Source, Target, refuse_untrusted
from etl.sessions.query import target_query
from etl.sessions.url import DatabaseUrl
from etl.target import staging

log = get_logger()


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
            " database; a run would replace the tables that it reads; correct one of them"
        )


async def lock(control: Target, run_id: str, chosen: Sequence[TargetName]) -> None:
    """Takes the lock of the run and of each live table, until this session ends.

    Waits up to SAME_RUN_SECONDS for sessions of the same run: those of a killed shard may take a moment to end. Raises
    TableLocked, naming the run that holds a table's lock.
    """
    await advisory.share(control, advisory.of_runs([run_id]))
    by_lock = {table.staging: table for table in chosen}
    wanted = list(by_lock)
    deadline = monotonic() + limits.SAME_RUN_LOCK_SECONDS
    while taken := [one for one in await advisory.take(control, advisory.of_tables(wanted)) if not one.is_got]:
        holder = await advisory.holder(control, taken[0])
        ours = holder is None or holder.application_name == application(run_id)[:63]
        if not ours or monotonic() > deadline:
            raise _locked(by_lock[taken[0].table], len(taken) - 1, holder)
        wanted = [one.table for one in taken]
        await asyncio.sleep(limits.TABLE_LOCK_PAUSE_SECONDS)


def _locked(table: TargetName, others: int, holder: advisory.Holder | None) -> TableLocked:
    who = f"{holder.application_name.replace('nightly-etl', 'run')}, pid {holder.pid}" if holder else "another run"
    more = f" (and {others} more)" if others else ""
    return TableLocked(f"{table}{more} is being loaded by {who}; wait for it to end, or stop it")


async def lock_snapshot(control: Target, run_id: str) -> None:
    """Takes the locks of a run and of its snapshot, until this session ends.

    Raises TableLocked if another process holds a snapshot for the run.
    """
    await advisory.share(control, advisory.of_runs([run_id]))
    if not all(one.is_got for one in await advisory.take(control, advisory.of_snapshot(run_id))):
        raise TableLocked(
            f"another process holds a snapshot for run {run_id}; one run has one snapshot, so stop this one"
        )


async def is_snapshot_held(control: Target, run_id: str) -> bool:
    """Whether a process holds a run's snapshot."""
    return await advisory.is_taken(control, advisory.of_snapshot(run_id))


@dataclass(frozen=True, slots=True)
class _LockRoom:
    """How many locks the target has room for (lock_room.sql)."""

    setting: int
    sessions: int
    room: int


async def refuse_too_many_locks(target: Target, tables: int) -> None:
    """Raises ConfigurationError if the target has too few locks for one publish of so many tables."""
    (there,) = await query.rows(target, _LockRoom, target_query("lock_room"))
    if (needed := limits.PUBLISH_LOCKS_A_TABLE * tables) > there.room:
        enough = -(-needed // there.sessions)
        raise ConfigurationError(
            f"the publish of {tables:,} tables at once takes up to {needed:,} locks, and the target has room for"
            f" {there.room:,}; set its max_locks_per_transaction from {there.setting} to {enough} or more"
        )


@dataclass(frozen=True, slots=True)
class _Owned:
    """A table, and the role that owns it (owners.sql, untrusted_tables.sql)."""

    schema: str
    name: str
    owner: str
    is_superuser: bool


async def refuse_untrusted_tables(target: Target, tables: Sequence[TargetName], *, has_ledger: bool = True) -> None:
    """Raises ConfigurationError naming live tables that an untrusted role has created and no run has published.

    The publish would reattach their constraints, indexes and triggers, and run their owner's functions as this
    session's role. The ledger records the tables that were published; without a ledger, none was.
    """
    statement = target_query("untrusted_tables" if has_ledger else "owners")
    owned = [one for one in await query.rows(target, _Owned, statement, arrays(tables)) if not one.is_superuser]
    refuse_untrusted({f"table {label(one.schema, one.name)}": one.owner for one in owned}, target.info.user)


async def try_lock(target: Target, relations: Sequence[TargetName]) -> bool:
    """Tries to take the lock of each relation's staging table, until this session ends; takes all locks, or none."""
    tried = await advisory.take(target, advisory.of_tables([one.staging for one in relations]))
    if all(one.is_got for one in tried):
        return True
    await advisory.release(target, advisory.of_tables([one.table for one in tried if one.is_got]))
    return False


async def unlock(target: Target, relations: Sequence[TargetName]) -> None:
    """Releases the locks that ``try_lock`` took."""
    if relations:
        await advisory.release(target, advisory.of_tables([one.staging for one in relations]))


async def clear(control: Target, run_id: str, chosen: Sequence[TargetName]) -> None:
    """Drops the staging tables and old tables that killed runs left, and closes these runs in the ledger.

    Takes the run's live tables. A staging table or old table counts as left if the ledger has an entry of it, no
    session holds its lock, and it does not wait for ``etl publish``.
    """
    await ledger.supersede(control, run_id, chosen)
    for dead in await _dead_runs(control, run_id):
        tables = [load.live for load in await ledger.loads_of(control, [dead])]
        reason = own_words(f"killed; run {run_id} cleared up after it")
        await ledger.close_run(control, dead, RunStatus.INTERRUPTED, reason)  # first: its end is the loads' reason
        await ledger.not_published(control, dead, own_words("never published; its run was killed"), tables)
        log.warning("run.cleared", dead_run_id=dead)
    others = await ledger.known(control) - set(chosen)
    there = (await staging.tables(control)).keys()
    if there:  # what a killed publish has staged on the tables that this run will make anew
        await staging.drop_views(control, [table.staging for table in chosen])
    if old := [table for table in chosen if table.aside in there]:  # a publish in place would leave them there
        await staging.drop_aside(control, old)
    left = [table for table in others if {table.staging, table.aside, table.gone} & there]
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
    believed = [other for other in await ledger.running(control) if other != run_id]
    return [run.name for run in await advisory.free(control, advisory.of_runs(believed))] if believed else []
