"""The one transaction in which a run's staging tables become live, and the ledger says so.

Readers of the live tables must never queue behind a publish that itself waits for someone: it asks for its
locks with a short timeout, gives way, and asks again until a deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import psycopg
import structlog
from psycopg import sql
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random

from etl import guard, ledger, live, staging
from etl.errors import CannotCarry, PublishBlocked, PublishFailed, one_line, sqlstate
from etl.postgres import Target, connect_target, create_schemas, target_query
from etl.selection import Relation
from etl.settings import Settings

LOCK_TIMEOUT = "100ms"
"""How long one lock is waited for; readers that come meanwhile wait behind us for as long."""

LOCK_PHASE_TIMEOUT = "500ms"
"""How long all locks together may take: below deadlock_timeout (1 s), so that no reader ever pays for a deadlock."""

DEADLINE = 600.0
"""Seconds after which a publish that is blocked gives up."""

PAUSE = (0.1, 1.0)
"""Seconds between two attempts, at random, so that two publishes do not meet again and again."""

# lock_not_available, query_canceled (the lock phase's statement_timeout), deadlock_detected, and
# dependent_objects_still_exist: a view made since we looked
_BLOCKED = {"55P03", "57014", "40P01", "2BP01"}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """How a publish went: tables, attempts, and wall seconds with the waiting."""

    tables: int
    attempts: int
    seconds: float


async def publish(
    target: Target, run_id: str, tables: Sequence[Relation], *, closes_run: bool = True, deadline: float = DEADLINE
) -> Published:
    """Makes staged tables live, all of them or none.

    Takes an idle session on the target, and the live tables' names, each with the oid of its staging table (0 where
    that does not matter); ``closes_run`` says that the run is whole with these tables. Raises
    CannotCarry before anything is touched when something hangs on a live table that could not be put back,
    PublishBlocked when readers hold the tables until the deadline, PublishFailed for the rest.
    """
    ordered = sorted(tables, key=lambda table: (table.schema, table.name))
    began = perf_counter()
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_blocked),
        stop=stop_after_delay(deadline),
        wait=wait_random(*PAUSE),
        before_sleep=_say_blocked,
        reraise=True,
    )
    try:
        async for attempt in retrying:
            with attempt:
                await _publish_once(target, run_id, ordered, closes_run)
    except psycopg.Error as error:
        if _is_blocked(error):
            raise PublishBlocked(await _blocked(target, ordered, deadline)) from error
        raise PublishFailed(f"the publish failed, the live tables are as they were: {one_line(error)}") from error
    return Published(len(ordered), attempt.retry_state.attempt_number, perf_counter() - began)


async def publish_run(settings: Settings) -> Published:
    """Publishes all that a run has staged (``etl publish``), and logs it.

    Raises PublishFailed when there is nothing to publish, or when a load of the run failed; TableLocked
    while it still loads.
    """
    control = await connect_target(settings.target, guard.application(settings.run_id))
    try:
        staged = await _staged(control, settings.run_id)
        await guard.lock(control, settings.run_id, staged)
        done = await publish(control, settings.run_id, staged)
    finally:
        await control.close()
    say(done)
    return done


async def _staged(target: Target, run_id: str) -> list[Relation]:
    run = await ledger.run_of(target, run_id) if await ledger.exists(target) else None
    if run is None:
        raise PublishFailed(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")
    loads = await ledger.loads_of(target, [run_id])
    for status, why in (("failed", "failed"), ("loading", "not staged, and perhaps never will be")):
        if names := [load["table_name"] for load in loads if load["status"] == status]:
            raise PublishFailed(f"run {run_id} cannot be published: {', '.join(names)} {why}; start a new run")
    staged = [
        Relation(load["schema_name"], load["relation_name"], oid=load["staging_oid"] or 0)
        for load in loads
        if load["status"] == "staged"
    ]
    if not staged:
        raise PublishFailed(f"run {run_id} is {run['status']} and has nothing staged to publish")
    return staged


def say(done: Published) -> None:
    """Logs a publish."""
    log.info("run.published", tables=done.tables, seconds=round(done.seconds, 3), attempts=done.attempts)


@dataclass(frozen=True, slots=True)
class _Replacement:
    """All that one publish will do, read and composed before it takes its first lock."""

    old: tuple[live.Object, ...]
    views: tuple[live.Object, ...]
    default_grantees: tuple[str | None, ...]
    statements: tuple[sql.Composed, ...]


async def _publish_once(target: Target, run_id: str, tables: Sequence[Relation], closes_run: bool) -> None:
    async with target.transaction():
        # The staged rows' WAL becomes durable with this commit record, at the latest.
        await target.execute(f"SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'".encode())
        replacement = await _prepared(target, tables)
        await _lock(target, replacement)
        await _execute(target, replacement.statements)
        for view in replacement.views:
            await _put_back(target, view, replacement.default_grantees)
        await ledger.published(target, run_id, [str(table) for table in tables])
        if closes_run:
            await ledger.close_run(target, run_id, "published")


async def _prepared(target: Target, tables: Sequence[Relation]) -> _Replacement:
    found = await live.objects(target, tables)
    if obstacles := [one.obstacle for one in found if one.obstacle]:
        raise CannotCarry("; ".join(obstacles))
    old = {(one.schema, one.name): one for one in found if one.is_live}
    new = {
        (one.schema, one.name): one
        for one in await live.objects(target, [Relation(staging.schema_of(t.schema), t.name) for t in tables])
    }
    schemas = sorted({table.schema for table in tables})
    await create_schemas(target, schemas)
    granted = {schema: await live.default_privileges(target, schema) for schema in schemas}
    statements = [sql.SQL("DROP TABLE {}").format(one.identifier) for one in old.values()]
    for table in tables:
        staged = new.get((staging.schema_of(table.schema), table.name))
        if staged is None or table.oid not in {0, staged.oid}:
            raise PublishFailed(f"{table} is no longer staged; another run or `etl abort` has dropped it")
        statements += _move(table, staged, old.get((table.schema, table.name)), granted[table.schema])
    grantees = await live.default_grantees(target)
    return _Replacement(tuple(old.values()), tuple(live.views(found)), tuple(grantees), tuple(statements))


async def _lock(target: Target, replacement: _Replacement) -> None:
    """Takes every lock that the publish needs: dependent views first, as their readers do, then the tables.

    Views are dropped at once, because LOCK TABLE on a view would lock all that it reads, too.
    """
    tables = [one.identifier for one in replacement.old]
    statements = [live.drop(view) for view in reversed(replacement.views)]
    if tables:
        statements.append(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables)))
    await target.execute(f"SET LOCAL statement_timeout = '{LOCK_PHASE_TIMEOUT}'".encode())
    await _execute(target, statements)
    await target.execute("SET LOCAL statement_timeout = 0")


async def _put_back(target: Target, view: live.Object, default_grantees: Sequence[str | None]) -> None:
    try:
        await _execute(target, list(live.create(view, default_grantees)))
    except psycopg.Error as error:
        if _is_blocked(error):
            raise
        raise CannotCarry(f"view {view} cannot be put back on the new tables: {one_line(error)}") from error


def _move(
    table: Relation, staged: live.Object, old: live.Object | None, granted: Sequence[live.Privilege]
) -> list[sql.Composed]:
    """Gives the statements that make one staging table live and dress it as the one before."""
    name = sql.Identifier(table.schema, table.name)
    statements = [sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(staged.identifier, sql.Identifier(table.schema))]
    if old is None:
        return statements + [privilege.grant(name) for privilege in granted]
    own_comments = [*staged.column_comments, *([None] if staged.comment is not None else [])]
    statements += live.undress(staged, name)
    return statements + list(live.dress(old, name, staged.columns, own_comments))


async def _execute(target: Target, statements: Sequence[sql.Composed]) -> None:
    """Executes statements in one round trip, because readers wait for every one."""
    if statements:
        await target.execute(sql.SQL("; ").join(statements))


def _is_blocked(error: BaseException) -> bool:
    return sqlstate(error) in _BLOCKED


def _say_blocked(state: RetryCallState) -> None:
    log.info("publish.blocked", attempt=state.attempt_number, seconds=round(state.seconds_since_start or 0, 3))


async def _blocked(target: Target, tables: Sequence[Relation], deadline: float) -> str:
    names = {"schemas": [table.schema for table in tables], "names": [table.name for table in tables]}
    cursor = await target.execute(target_query("blockers"), names)
    blockers = [
        f"pid {row['pid']} ({row['user']}, {row['application'] or 'no application name'}) on {row['table']}"
        f" since {row['query_start']}"
        for row in await cursor.fetchall()
    ]
    who = "; ".join(blockers) or "sessions that are gone by now"
    return f"the live tables were in use for {deadline:g} s, so nothing was published; held by {who}"
