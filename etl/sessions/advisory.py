"""Advisory locks in the target, by which the processes of runs exclude each other, or learn that one of them lives.

``sql/lock_keys.sql`` alone spells the locks' keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from etl.model.name import TargetName
from etl.sessions.query import bound, rows, target_query

Session: TypeAlias = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Locks:
    """Locks of one kind: by the id of a run, or by the schema and name of a table."""

    kind: str
    names: Sequence[str | None]
    schemas: Sequence[str] = ()

    def statement(self, function: str) -> sql.Composed:
        """The statement that calls one of PostgreSQL's functions on each lock's key."""
        values = {"kind": self.kind, "schemas": list(self.schemas), "names": list(self.names)}
        call = sql.SQL("SELECT k.schema, k.name, k.key, {}(k.key) AS is_got FROM ({}) AS k")
        return call.format(sql.Identifier("pg_catalog", function), bound("lock_keys", values))


@dataclass(frozen=True, slots=True)
class Tried:
    """A lock that was tried: the table's, or the run's (which has no schema), its key, and whether it was got."""

    schema: str | None
    name: str
    key: int
    is_got: bool

    @property
    def table(self) -> TargetName:
        """The table whose lock it is."""
        assert self.schema is not None, "it is a run's lock"
        return TargetName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds a lock; its application name carries the run's id."""

    pid: int
    application_name: str


def of_runs(run_ids: Sequence[str]) -> Locks:
    """The locks that say that runs live; the processes of a run share its lock."""
    return Locks("run", run_ids)


def of_snapshot(run_id: str) -> Locks:
    """The lock of the one process that holds a run's snapshot."""
    return Locks("snapshot", [run_id])


def of_tables(staged: Sequence[TargetName]) -> Locks:
    """The locks of staging tables, which no two runs may share."""
    return Locks("table", [table.name for table in staged], [table.schema for table in staged])


@cache
def schema_lock() -> sql.Composed:
    """The statement that lets one transaction at a time make this tool's schemas, types and ledger.

    So first runs may begin together.
    """
    return Locks("schemas", [None]).statement("pg_advisory_xact_lock")


async def share(session: Session, locks: Locks) -> None:
    """Waits for locks, which others may share, and holds them for as long as the session lasts."""
    await session.execute(locks.statement("pg_advisory_lock_shared"))


async def take(session: Session, locks: Locks) -> list[Tried]:
    """Tries locks, and holds those that it gets for as long as the session lasts."""
    return await rows(session, Tried, locks.statement("pg_try_advisory_lock"))


async def release(session: Session, locks: Locks) -> None:
    """Lets go what ``take`` got."""
    await session.execute(locks.statement("pg_advisory_unlock"))


async def free(session: Session, locks: Locks) -> list[Tried]:
    """Those of the locks that nobody holds or shares."""
    tried = await rows(session, Tried, locks.statement("pg_try_advisory_xact_lock"))
    return [one for one in tried if one.is_got]


async def is_taken(session: Session, locks: Locks) -> bool:
    """Whether somebody holds one of the locks alone."""
    tried = await rows(session, Tried, locks.statement("pg_try_advisory_xact_lock_shared"))
    return not all(one.is_got for one in tried)


async def holder(session: Session, lock: Tried) -> Holder | None:
    """The session that holds a lock; None where it is gone by now."""
    return next(iter(await rows(session, Holder, target_query("lock_holder"), {"key": lock.key})), None)
