"""``etl retire``: drops a live table that has left TABLES, or marks it as one that stays as it is.

Nothing is dropped that somebody has not seen: an object that depends on the table stops the DROP, and what goes with
the table is named before. A later run that has the table again takes it back.
"""

# docs/decisions.md, "A table that left TABLES is retired by hand"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from etl.commands.answers import RetireAnswer
from etl.ledger import book, ledger, retirement
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import ConfigurationError, EtlError
from etl.model.name import TargetName, arrays
from etl.model.selection import named
from etl.sessions.postgres import Target, source_session, target_session
from etl.sessions.query import rows, target_query
from etl.sessions.retry import persistently
from etl.settings.settings import Settings
from etl.source import choice
from etl.target import guard, live

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """A live table that a run or a batch has brought (retiring.sql)."""

    oid: int
    as_of: datetime | None
    rows: int | None
    source: str | None
    job: str | None


@dataclass(frozen=True, slots=True)
class _Hanging:
    """A live table, and what the reporting side has hung on it (hangs_on.sql)."""

    schema: str
    name: str
    owner: str
    is_ours: bool
    bytes: int
    hung: list[str]


@dataclass(frozen=True, slots=True)
class Doomed:
    """A live table that is to be dropped, as somebody has to see it before."""

    table: TargetName
    known: _Known
    hanging: _Hanging

    def __str__(self) -> str:
        rows = "" if self.known.rows is None else f"{self.known.rows:,} rows, "
        at = self.known.as_of
        as_of = "" if at is None else f", as of {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        hung = (
            f"; with it goes what the reporting side added: {', '.join(self.hanging.hung)}" if self.hanging.hung else ""
        )
        return f"table {self.table} of the target ({rows}{self.hanging.bytes / 1e6:,.1f} MB{as_of}){hung}"


async def retire(
    settings: Settings, table: str, agrees: Callable[[Doomed], Awaitable[bool]], *, keep: bool = False
) -> RetireAnswer:
    """Drops a live table if somebody ``agrees``, or marks it if it is to be kept.

    Raises ConfigurationError for a table that TABLES covers, or that no run has published; EtlError if something
    depends on it, or if it is in use.
    """
    name = _named(table)
    _refuse_part(settings)
    covered = await _refuse_covered(settings, name)
    async with target_session(
        settings.target, guard.application(settings.run_id), lock_timeout=limits.LIVE_TABLE_LOCK_TIMEOUT
    ) as target:
        if not await book.exists(target):
            raise ConfigurationError(f"{name} is no table to retire, because no run has published to this target yet")
        await book.ensure(target)
        doomed = await _seen(target, name)
        _refuse_other_job(doomed, settings.job)
        _refuse_renamed(doomed, covered)
        if not keep:
            await _refuse_dependents(target, doomed)
            if not await agrees(doomed):  # with no lock held: nobody waits for the answer
                raise EtlError(f"{name} was not dropped, because you did not agree; nothing has changed")
        await guard.lock(target, settings.run_id, [name])
        await _refuse_staged(target, name)
        if keep:
            async with target.transaction():
                _refuse_changed(doomed, await _seen(target, name))
                await retirement.retire(target, doomed.known.oid, name, is_dropped=False)
        else:
            await _dropped(target, doomed, settings.publish_deadline)
    log.info("table.retired", table=str(name), kept=keep)
    hung = () if keep else tuple(doomed.hanging.hung)
    return RetireAnswer(str(name), not keep, doomed.known.as_of, doomed.known.rows, doomed.hanging.bytes, hung)


async def _refuse_covered(settings: Settings, name: TargetName) -> set[str]:
    """Raises ConfigurationError for a table that TABLES covers; returns the source's tables that it covers."""
    application = guard.application(settings.run_id)
    async with (
        source_session(settings.source, application) as source,
        target_session(settings.target, application) as target,
    ):
        await guard.refuse_same_database(source, target, settings.source, settings.target)
        chosen = await choice.choose(source, settings.options, settings.selection)
        if name in {planned.live for planned in chosen}:
            raise ConfigurationError(
                f"{name} is no table to retire, because TABLES covers it; take it out of TABLES, or exclude it with"
                f" !{name}, and retire it then"
            )
        return {str(planned.source) for planned in chosen}


def _refuse_other_job(doomed: Doomed, job: str | None) -> None:
    """Raises ConfigurationError for a table that another job publishes: TABLES does not have it, and never had."""
    if job and doomed.known.job and doomed.known.job != job:
        raise ConfigurationError(
            f"{doomed.table} is no table of job {job} to retire, because job {doomed.known.job} has published it last;"
            f" retire it with that job's settings and ETL_JOB={doomed.known.job}"
        )


def _refuse_renamed(doomed: Doomed, covered: Collection[str]) -> None:
    """Raises ConfigurationError if a run would have the table, but for an option that this process does not have."""
    if doomed.known.source in covered:
        raise ConfigurationError(
            f"{doomed.table} is no table to retire, because the last run copied {doomed.known.source} to it, which"
            " TABLES covers; set the options of that run, whose rename this process lacks, or, if the table is to have"
            " another name, let a run publish it there, and retire this one then"
        )


def _refuse_changed(doomed: Doomed, now: Doomed) -> None:
    """Raises EtlError if a run or a batch has published the table since it was seen, before its lock was taken."""
    if now.known != doomed.known:
        raise EtlError(f"{doomed.table} has changed since it was looked at; look again, and retry")


async def _refuse_staged(target: Target, name: TargetName) -> None:
    if name in await ledger.deferred(target):
        raise EtlError(
            f"{name} is staged by a run that is not published yet; publish it with `etl publish`, or end it with"
            " `etl abort`, and retire the table then"
        )


def _named(table: str) -> TargetName:
    try:
        relation = named(table)
    except ValueError as error:
        raise ConfigurationError(f"TABLE {error}; write schema.table, as `etl check` does") from None
    return TargetName(relation.schema, relation.name)


def _refuse_part(settings: Settings) -> None:
    if settings.shard is not None or settings.snapshot != "own" or settings.plan != "own":
        raise ConfigurationError(
            "ETL_SHARD, ETL_SNAPSHOT or ETL_PLAN says that TABLES is only a part of the run's tables; unset them, and"
            " give etl retire all tables"
        )


async def _seen(target: Target, name: TargetName) -> Doomed:
    found = await rows(target, _Known, target_query("retiring"), {"schema": name.schema, "name": name.name})
    if not found:
        raise ConfigurationError(
            f"{name} is no table to retire: the target has no table of that name that a run or a batch has brought;"
            " `etl check` lists those that are left behind"
        )
    carried = (await ledger.carried(target, [name]))[name]
    wanted = {"oid": found[0].oid, "carried": list(carried)}
    hanging = await rows(target, _Hanging, target_query("hangs_on"), wanted)
    if not hanging:
        raise EtlError(f"{name} has just been dropped or replaced; look again, and retry")
    return Doomed(name, found[0], hanging[0])


async def _refuse_dependents(target: Target, doomed: Doomed) -> None:
    """Raises EtlError for what is known to stop the DROP, before somebody is asked."""
    if not doomed.hanging.is_ours:
        raise EtlError(
            f"{doomed.table} belongs to {doomed.hanging.owner}, and only its owner may drop it; let that role drop it,"
            f" or GRANT {sql.Identifier(doomed.hanging.owner).as_string(None)} TO"
            f" {sql.Identifier(target.info.user).as_string(None)}"
        )
    if views := [str(view) for view in live.views(await live.objects(target, [doomed.table]))]:
        raise EtlError(_depends(doomed, f"view {', '.join(views)}"))


def _depends(doomed: Doomed, what: str) -> str:
    return (
        f"{doomed.table} is not dropped, because others depend on it: {what}; drop that first, or keep it with --keep"
    )


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected))


async def _dropped(target: Target, doomed: Doomed, deadline: float) -> None:
    try:
        await persistently(lambda: _drop(target, doomed), _is_in_use, deadline)
    except psycopg.Error as error:
        if not _is_in_use(error):
            raise
        cursor = await target.execute(target_query("holders"), arrays([doomed.table]))
        who = " and ".join(row["who"] for row in await cursor.fetchall()) or "sessions that come and go"
        raise EtlError(
            f"{doomed.table} was in use for {deadline:g} s, by {who}, so it was not dropped; end these sessions, and"
            " retry"
        ) from error


async def _drop(target: Target, doomed: Doomed) -> None:
    """Drops the table as it was seen; waits for its readers only for a moment, so that none waits behind it."""
    try:
        async with target.transaction():
            await target.execute(f"SET LOCAL lock_timeout = {limits.PUBLISH_LOCK_MS}".encode())
            await target.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(doomed.table.identifier))
            now = await _seen(target, doomed.table)
            _refuse_changed(doomed, now)
            if now.hanging.hung != doomed.hanging.hung:
                raise EtlError(f"{doomed.table} has changed since it was looked at; look again, and retry")
            await target.execute(sql.SQL("DROP TABLE {} RESTRICT").format(doomed.table.identifier))
            await retirement.retire(target, doomed.known.oid, doomed.table, is_dropped=True)
    except psycopg.errors.DependentObjectsStillExist as error:
        depends = " and ".join((error.diag.message_detail or "").splitlines())
        raise EtlError(_depends(doomed, depends)) from error
    except psycopg.errors.UndefinedTable as error:
        raise EtlError(f"{doomed.table} has just been dropped or replaced; look again, and retry") from error
