"""Advisory locks in the target. By them, runs exclude each other, and learn whether another run still has sessions.

The locks' keys are defined in ``sql/lock_keys.sql`` only.
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
    """Locks of the same kind, named by the id of a run, or by the schema and name of a table."""

    kind: str
    names: Sequence[str | None]
    schemas: Sequence[str] = ()

    def statement(self, function: str) -> sql.Composed:
        """The statement that calls one of PostgreSQL's lock functions with each lock's key."""
        values = {"kind": self.kind, "schemas": list(self.schemas), "names": list(self.names)}
        call = sql.SQL("SELECT k.schema, k.name, k.key, {}(k.key) AS is_got FROM ({}) AS k")
        return call.format(sql.Identifier("pg_catalog", function), bound("lock_keys", values))


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying a lock: the lock of a table, or of a run (without a schema), and whether it was taken."""

    schema: str | None
    name: str
    key: int
    is_got: bool

    @property
    def table(self) -> TargetName:
        """The table to which the lock belongs."""
        assert self.schema is not None, "it is a run's lock"
        return TargetName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds a lock; its application name contains the run's id."""

    pid: int
    application_name: str


def of_runs(run_ids: Sequence[str]) -> Locks:
    """The locks of runs. The processes of a run share its lock, so a lock that is free says that the run has ended."""
    return Locks("run", run_ids)


def of_snapshot(run_id: str) -> Locks:
    """The lock of the process that holds a run's snapshot."""
    return Locks("snapshot", [run_id])


def of_tables(staged: Sequence[TargetName]) -> Locks:
    """The locks of staging tables. Only one run may load a table at a time."""
    return Locks("table", [table.name for table in staged], [table.schema for table in staged])


@cache
def schema_lock() -> sql.Composed:
    """The statement that lets only one transaction at a time create this tool's schemas, types and ledger.

    So the first runs on a new target may begin at the same time.
    """
    return Locks("schemas", [None]).statement("pg_advisory_xact_lock")


async def share(session: Session, locks: Locks) -> None:
    """Waits for shared locks, and holds them until the session ends."""
    await session.execute(locks.statement("pg_advisory_lock_shared"))


async def take(session: Session, locks: Locks) -> list[Tried]:
    """Tries to take locks, and holds those that were free until the session ends."""
    return await rows(session, Tried, locks.statement("pg_try_advisory_lock"))


async def release(session: Session, locks: Locks) -> None:
    """Releases locks that ``take`` has taken."""
    await session.execute(locks.statement("pg_advisory_unlock"))


async def free(session: Session, locks: Locks) -> list[Tried]:
    """The locks that no session holds or shares."""
    tried = await rows(session, Tried, locks.statement("pg_try_advisory_xact_lock"))
    return [lock for lock in tried if lock.is_got]


async def is_taken(session: Session, locks: Locks) -> bool:
    """Whether a session holds at least one of the locks exclusively."""
    tried = await rows(session, Tried, locks.statement("pg_try_advisory_xact_lock_shared"))
    return not all(lock.is_got for lock in tried)


async def holder(session: Session, lock: Tried) -> Holder | None:
    """The session that holds a lock, or None if no session holds it any more."""
    return next(iter(await rows(session, Holder, target_query("lock_holder"), {"key": lock.key})), None)
