"""The one transaction in which a run's staging tables become live, and the ledger says so.

Readers of the live tables must never queue behind a publish that itself waits for someone: it asks for its
locks with a short timeout, gives way, and asks again until a deadline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import psycopg
import structlog
from psycopg import sql
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random

from etl import guard, ledger, live, staging, views
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
    """How a publish went: tables, attempts, wall seconds with the waiting, and for how long readers may have waited."""

    tables: int
    attempts: int
    seconds: float
    blocked_ms: float


async def publish(
    target: Target, run_id: str, tables: Sequence[Relation], *, closes_run: bool = True, deadline: float = DEADLINE
) -> Published:
    """Makes staged tables live, all of them or none.

    Takes an idle session on the target; ``closes_run`` says that the run is whole with these tables. Raises
    CannotCarry before anything is touched when something hangs on a live table that could not be put back,
    PublishBlocked when readers hold the tables until the deadline, PublishFailed for the rest.
    """
    began = perf_counter()
    publishing = _Publish(target, run_id, sorted(tables, key=lambda table: (table.schema, table.name)), closes_run)
    retrying = AsyncRetrying(
        retry=retry_if_exception(_is_blocked), stop=stop_after_delay(deadline), wait=wait_random(*PAUSE), reraise=True
    )
    try:
        await retrying(publishing.attempt)
    except psycopg.Error as error:
        if _is_blocked(error):
            raise PublishBlocked(await publishing.blocked(deadline)) from error
        raise PublishFailed(f"the publish failed, the live tables are as they were: {one_line(error)}") from error
    return Published(len(tables), publishing.attempts, perf_counter() - began, publishing.blocked_ms)


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
    if failed := [load["table_name"] for load in loads if load["status"] == "failed"]:
        raise PublishFailed(f"run {run_id} cannot be published: {', '.join(failed)} failed; start a new run")
    staged = [Relation(load["schema_name"], load["relation_name"]) for load in loads if load["status"] == "staged"]
    if not staged:
        raise PublishFailed(f"run {run_id} is {run['status']} and has nothing staged to publish")
    return staged


def say(done: Published) -> None:
    """Logs a publish."""
    log.info(
        "run.published",
        tables=done.tables,
        seconds=round(done.seconds, 3),
        attempts=done.attempts,
        blocked_ms=round(done.blocked_ms, 1),
    )


@dataclass(frozen=True, slots=True)
class _Replacement:
    """All that one publish will do, read and composed before it takes its first lock."""

    locks: tuple[sql.Composable, ...]
    moves: tuple[sql.Composable, ...]
    garments: tuple[live.Garment, ...]


@dataclass(slots=True)
class _Publish:
    """A publish under way, over its attempts."""

    target: Target
    run_id: str
    tables: Sequence[Relation]
    closes_run: bool
    staged: views.Staged | None = None
    attempts: int = 0
    blocked_ms: float = 0.0

    async def attempt(self) -> None:
        """Tries once; views are staged anew only when they have changed, because that may take its time."""
        self.attempts += 1
        self.staged = self.staged or await views.stage(self.target, self.tables)
        began = perf_counter()
        try:
            async with self.target.transaction():
                # The staged rows' WAL becomes durable with this commit record, at the latest.
                await self.target.execute(b"SET LOCAL synchronous_commit = on")
                replacement = await _prepared(self.target, self.tables, self.staged)
                began = perf_counter()
                await self._replace(replacement)
        except _ViewsChanged:
            self.staged = None
            raise
        except psycopg.Error as error:
            if _is_blocked(error):
                await self._say_blocked((perf_counter() - began) * 1000)
            raise
        self.blocked_ms = (perf_counter() - began) * 1000

    async def _replace(self, replacement: _Replacement) -> None:
        await _lock(self.target, replacement)
        await _execute(self.target, replacement.moves)
        await _execute(self.target, [_worn(garment) for garment in replacement.garments])
        await ledger.published(self.target, self.run_id, [str(table) for table in self.tables])
        if self.closes_run:
            await ledger.close_run(self.target, self.run_id, "published")

    async def _say_blocked(self, blocked_ms: float) -> None:
        log.info(
            "publish.blocked",
            attempt=self.attempts,
            blocked_ms=round(blocked_ms, 1),
            blockers=await _blockers(self.target, self.tables),
        )

    async def blocked(self, deadline: float) -> str:
        """Says who was in the way until the deadline."""
        blockers = await _blockers(self.target, self.tables) or ["sessions that are gone by now"]
        return (
            f"the live tables were in use for {deadline:g} s, so nothing was published; held by {'; '.join(blockers)}"
        )


async def _prepared(target: Target, tables: Sequence[Relation], staged: views.Staged) -> _Replacement:
    found = await live.objects(target, tables)
    refuse_obstacles(found)
    if tuple(live.views(found)) != staged.found:
        raise _ViewsChanged
    old = [one for one in found if one.is_live]
    moving = [*tables, *(view.relation for view in staged.ready)]
    in_staging = await live.objects(target, [_staging_name(one) for one in moving])
    new = {one.relation: one for one in in_staging if one.is_live}
    if missing := [str(table) for table in tables if _staging_name(table) not in new]:
        raise PublishFailed(f"{', '.join(missing)} is no longer staged; another run or `etl abort` has dropped it")
    await create_schemas(target, {table.schema for table in tables})
    moves: list[sql.Composable] = [sql.SQL("DROP TABLE {}").format(one.identifier) for one in old]
    for one in moving:
        moves += _move(one, new[_staging_name(one)])
    moves += [live.create(view, view.identifier, view.definition or "") for view in staged.late]
    moves += [sql.SQL(statement) for statement in await live.default_grants(target, _first(tables, old))]
    worn = await live.garments(target, found)
    locks: list[sql.Composable] = [live.drop(view) for view in reversed(staged.found)]
    if old:
        names = sql.SQL(", ").join(one.identifier for one in old)
        locks.append(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    return _Replacement(tuple(locks), tuple(moves), tuple(_dressed(found, new, worn)))


def refuse_obstacles(found: Sequence[live.Object]) -> None:
    """Raises CannotCarry naming everything that could not be put back."""
    if obstacles := [one.obstacle for one in found if one.obstacle]:
        raise CannotCarry("; ".join(obstacles))


def _staging_name(one: Relation | live.Object) -> Relation:
    return Relation(staging.schema_of(one.schema), one.name)


def _first(tables: Sequence[Relation], old: Sequence[live.Object]) -> list[Relation]:
    """Gives the tables that are published for the first time."""
    there = {one.relation for one in old}
    return [table for table in tables if Relation(table.schema, table.name) not in there]


def _move(one: Relation, staged: live.Object) -> Iterator[sql.Composable]:
    """Gives the statements that take a staged table or view to its live schema, bare of what it was granted."""
    schema = sql.Identifier(one.schema)
    yield sql.SQL("ALTER {} {} SET SCHEMA {}").format(staged.word, staged.identifier, schema)
    for statistics in staged.statistics:
        name = sql.Identifier(staged.schema, statistics)
        yield sql.SQL("ALTER STATISTICS {} SET SCHEMA {}").format(name, schema)
    yield from live.undress(staged, sql.Identifier(one.schema, one.name))


def _dressed(
    found: Sequence[live.Object], new: Mapping[Relation, live.Object], worn: Sequence[live.Garment]
) -> Iterator[live.Garment]:
    """Gives what can be put on the new tables and views, in the order in which it must be."""
    fitting = set[live.Garment]()
    for one in found:
        staged = new.get(_staging_name(one))
        columns = staged.columns if staged else one.columns
        own = {*staged.commented_columns, *([None] if staged.has_comment else [])} if staged and one.is_live else set()
        fitting |= set(live.dress((garment for garment in worn if garment.oid == one.oid), columns, own))
    return (garment for garment in worn if garment in fitting)


def _worn(garment: live.Garment) -> sql.Composable:
    statement = sql.SQL(garment.statement)
    if garment.role is None:
        return statement
    return sql.SQL("SET LOCAL ROLE {}; {}; RESET ROLE").format(sql.Identifier(garment.role), statement)


async def _lock(target: Target, replacement: _Replacement) -> None:
    """Takes every lock that the publish needs: dependent views first, as their readers do, then the tables.

    Views are dropped at once, because LOCK TABLE on a view would lock all that it reads, too.
    """
    timeouts = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL statement_timeout = '{LOCK_PHASE_TIMEOUT}'"
    await _execute(target, [sql.SQL(timeouts), *replacement.locks, sql.SQL("SET LOCAL statement_timeout = 0")])


async def _execute(target: Target, statements: Sequence[sql.Composable]) -> None:
    """Executes statements in one round trip, because readers wait for every one."""
    if statements:
        await target.execute(sql.SQL("; ").join(statements))


class _ViewsChanged(Exception):
    """Somebody made, changed or dropped a dependent view since the views were staged; they are staged anew."""


def _is_blocked(error: BaseException) -> bool:
    return sqlstate(error) in _BLOCKED or isinstance(error, _ViewsChanged)


async def _blockers(target: Target, tables: Sequence[Relation]) -> list[str]:
    """Says who holds a lock on the live tables, the longest query first."""
    names = {"schemas": [table.schema for table in tables], "names": [table.name for table in tables]}
    cursor = await target.execute(target_query("blockers"), names)
    return [
        f"pid {row['pid']} ({row['user']}, {row['application'] or 'no application name'}) on {row['table']}"
        f" since {row['query_start']:%Y-%m-%d %H:%M:%S %Z}"
        for row in await cursor.fetchall()
    ]
