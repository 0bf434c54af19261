"""Blockers: the sessions and prepared transactions for which a publish has to wait (``blockers.sql``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from etl.logs.log import get_logger
from etl.model import limits
from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query

log = get_logger()


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session, or a prepared transaction, and the object (``what``) for whose sake it blocks the publish.

    ``pid`` is None for a prepared transaction, and if the session of a temporary object cannot be told; ``is_left`` if
    that session has crashed. ``is_granted`` is false if it waits for its lock. The server hides ``application`` and
    ``query_start`` from a role that is no member of pg_read_all_stats.
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

    def __str__(self) -> str:
        since = f" since {self.query_start:%Y-%m-%d %H:%M:%S %Z}" if self.query_start else ""
        return f"{self._who} on {self.what}{since}"

    @property
    def _who(self) -> str:
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

    Within a transaction, pg_stat_activity would stay as it was first read, without sessions that have connected since.
    """
    await target.execute(b"SELECT pg_catalog.pg_stat_clear_snapshot()")
    return await rows(target, Blocker, target_query("blockers"), {**arrays(tables), "readers": readers})


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


async def end(target: Target, tables: Sequence[TargetName], *, readers: bool = True) -> None:
    """Ends the sessions that block a publish; this role has to be theirs, or to have pg_signal_backend."""
    ended = {
        one.pid: one for one in await found(target, tables, readers=readers) if one.pid is not None and one.is_granted
    }
    for one in ended.values():
        await target.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [one.pid])
        log.warning("publish.ended_blocker", pid=one.pid, user=one.user, application=one.application)
