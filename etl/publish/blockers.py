"""Blockers: the sessions and prepared transactions for which a publish has to wait (``blockers.sql``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import one_line
from etl.model.name import TargetName, arrays
from etl.model.redaction import own_words
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query

log = get_logger()


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session, or a prepared transaction, and the object (``what``) for whose sake it blocks the publish.

    ``pid`` is None for a prepared transaction, and if the session of a temporary object cannot be told; ``is_left`` if
    that session has crashed. ``is_granted`` is false if it waits for its lock. ``user`` is None for a process of the
    server, such as autovacuum. The server hides ``application``, ``query_start`` and ``process`` from a role that is no
    member of pg_read_all_stats.
    """

    pid: int | None
    prepared: str | None
    user: str | None
    application: str | None
    query_start: datetime | None
    is_granted: bool
    what: str
    temporary_schema: str | None
    is_left: bool
    process: str | None = None
    prevents_wraparound: bool = False

    def __str__(self) -> str:
        since = f" since {self.query_start:%Y-%m-%d %H:%M:%S %Z}" if self.query_start else ""
        return f"{self._who} on {self.what}{since}"

    @property
    def is_of_server(self) -> bool:
        """Whether it is a process of the server: to end it is of no use, because the server starts it again."""
        return self.pid is not None and self.user is None

    @property
    def _who(self) -> str:
        if self.is_of_server:
            why = ", to prevent wraparound" if self.prevents_wraparound else ""
            return f"pid {self.pid} ({self.process or 'a process of the server, such as autovacuum'}{why})"
        if self.pid is not None:
            return f"pid {self.pid} ({self.user}, {self.application or 'no application name'})"
        if self.prepared is not None:
            return f"prepared transaction {self.prepared} ({self.user}; COMMIT or ROLLBACK PREPARED ends it)"
        if self.is_left:
            schema = self.temporary_schema
            return f"a session that has crashed (a superuser ends it with DROP SCHEMA {schema} CASCADE)"
        return f"the session whose temporary schema is {self.temporary_schema}"


async def found(target: Target, tables: Sequence[TargetName], *, readers: bool = True) -> list[Blocker]:
    """Finds the blockers of a publish of live tables, the longest query first.

    ``readers`` is false for tables that are published in place, for which the publish waits for writers only.

    The staging tables count, too, because a swap moves them: pg_dump locks them with all others.

    Within a transaction, pg_stat_activity would stay as it was first read, without sessions that have connected since.
    """
    await target.execute(b"SELECT pg_catalog.pg_stat_clear_snapshot()")
    touched = arrays([*tables, *(table.staging for table in tables)])
    return await rows(target, Blocker, target_query("blockers"), {**touched, "readers": readers})


@dataclass(frozen=True, slots=True)
class Temporary:
    """A temporary object of another session that depends on a live table or view; ``pid`` is None if it is unknown."""

    pid: int | None
    what: str
    schema: str
    is_left: bool

    def __str__(self) -> str:
        return f"{self.what} of {f'pid {self.pid}' if self.pid else 'another session'}"


async def temporary(target: Target, oids: Sequence[int]) -> list[Temporary]:
    """Finds the temporary objects of other sessions that depend on live tables, or on views on these."""
    return await rows(target, Temporary, target_query("blockers/temporary"), {"objects": list(oids)})


async def described(target: Target, tables: Sequence[TargetName], *, readers: bool = True) -> tuple[str, ...]:
    """Describes the first blockers of a publish of live tables."""
    return tuple(map(str, (await found(target, tables, readers=readers))[: limits.BLOCKERS_NAMED]))


async def end(target: Target, tables: Sequence[TargetName], *, readers: bool = True) -> list[str]:
    """Ends the sessions that block a publish; returns why sessions could not be ended, one line each.

    Takes an idle session, whose role has to be theirs, or to have pg_signal_backend.
    """
    there = await found(target, tables, readers=readers)
    to_end = {one.pid: one for one in there if one.pid is not None and one.is_granted and not one.is_of_server}
    refused = [await terminate(target, pid, user=one.user, application=one.application) for pid, one in to_end.items()]
    return [reason for reason in refused if reason]


async def terminate(target: Target, pid: int, **who: Any) -> str | None:
    """Ends a session, and logs that; returns why that was not possible, or None. ``who`` describes it in the log."""
    try:
        await target.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [pid])
    except psycopg.errors.InsufficientPrivilege as error:
        log.warning("publish.not_ended", pid=pid, **who, error=own_words(one_line(error)))
        return f"pid {pid} could not be ended: {one_line(error)}"
    log.warning("publish.ended_blocker", pid=pid, **who)
    return None
