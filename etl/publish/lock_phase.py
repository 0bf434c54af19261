"""The lock phase of a swap: it takes the locks for which readers wait, never for long, and checks the inventory.

Readers queue behind a lock request that waits. So each lock is waited for a short time only, the whole phase, too, and
under the locks the live tables must still be those for which the swap was composed.
"""

# docs/decisions.md, "The catalog is read again under the locks"

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from psycopg import sql

from etl.model import limits
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target import live
from etl.target.views import Staged

T = TypeVar("T")

LONGER_THAN_VACUUM = sql.SQL(
    "SELECT pg_catalog.set_config('lock_timeout', (setting::integer + 2000)::text, true)"
    " FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"
)
"""Sets lock_timeout so that the server cancels an autovacuum in the way before it."""

_DEADLOCK_TIMEOUT = sql.SQL("SELECT setting::integer AS ms FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'")

CHANGED = "ETL01"
"""The SQLSTATE with which the check under the locks fails, in a class that PostgreSQL does not use."""

_LOCKED = sql.SQL("BEGIN BEGIN {locks}; EXCEPTION WHEN undefined_table THEN {fail}; END; END")

_LOOKED = sql.SQL("BEGIN IF ({now}) IS DISTINCT FROM {then} THEN {fail}; END IF; END")

_FAIL = sql.SQL(f"RAISE EXCEPTION USING ERRCODE = '{CHANGED}', MESSAGE = 'the live tables have changed'")

CHANGES = "other sessions keep changing the live tables, or objects that belong to them"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the lock phase waits for locks: never so long that the server takes a reader's wait for a deadlock.

    A reader that waits for the publish, and holds what the publish waits for, is ended by the server after
    deadlock_timeout. So each lock is waited for at most a quarter of that, and from half of it on, counted from the
    beginning of the message (``statement_timestamp()``), no lock is waited for any more.
    """

    deadlock_ms: int = 1000

    @property
    def lock_ms(self) -> int:
        """How long one lock is waited for."""
        return max(1, min(limits.PUBLISH_LOCK_MS, self.deadlock_ms // 4))

    def timeouts(self, objects: int) -> sql.SQL:
        """The statement that sets the timeouts of a lock, and of a statement that locks so many objects one by one."""
        phase = phase_ms(objects)
        return sql.SQL(f"SET LOCAL lock_timeout = {self.lock_ms}; SET LOCAL statement_timeout = {phase}")

    @property
    def check(self) -> sql.SQL:
        """The statement that ends the waiting for locks, if the phase has taken long."""
        return sql.SQL(f"SELECT {self._ended}")

    @property
    def _ended(self) -> str:
        return (
            "pg_catalog.set_config('lock_timeout', '1', true) WHERE pg_catalog.clock_timestamp()"
            f" > pg_catalog.statement_timestamp() + pg_catalog.make_interval(secs => {self.deadlock_ms / 2000})"
        )

    def within(self, statements: Sequence[sql.Composable]) -> sql.Composed:
        """Statements of a block, with such a check before every few of them."""
        checked = sql.SQL(f"PERFORM {self._ended}")
        parts = [part for some in _few(statements) for part in (checked, *some)]
        return sql.SQL("; ").join(parts)


_USUAL = Patience()
"""With the server's default of deadlock_timeout, 1 s."""


def _few(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many items at a time as are locked between two looks at the clock."""
    size = limits.PUBLISH_LOCKS_AT_ONCE
    return (items[start : start + size] for start in range(0, len(items), size))


def phase_ms(objects: int) -> int:
    """How long one statement of the lock phase may take that locks so many objects one by one."""
    return limits.PUBLISH_LOCK_PHASE_MS + limits.PUBLISH_LOCK_OBJECT_MS * objects


async def end_vacuums(target: Target, tables: Sequence[live.Object]) -> Patience:
    """Takes a lock that conflicts with autovacuum and with no reader; returns the server's patience.

    The server cancels an autovacuum that blocks another session after deadlock_timeout. Readers must not wait for the
    swap as long, so the autovacuum has to end, and no other may start, before the swap requests its locks.
    """
    if not tables:
        return _USUAL
    names = sql.SQL(", ").join(table.identifier for table in tables)
    lock = sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(names)
    row = await (await at_once(target, [LONGER_THAN_VACUUM, lock, _DEADLOCK_TIMEOUT])).fetchone()
    assert row is not None
    return Patience(row["ms"])


def locks(
    tables: Sequence[TargetName],
    staged: Staged,
    merged: Sequence[TargetName] = (),
    refreshed: Sequence[live.Object] = (),
    patience: Patience = _USUAL,
) -> list[sql.Composable]:
    """The statements that lock views and tables, with short timeouts, and then check the inventory.

    ``merged`` are tables whose rows were merged, and ``refreshed`` the materialized views that were filled again.

    Views come before tables, because a reader of a view locks them in that order. LOCK TABLE does not suit a view: it
    locks all relations that the view reads, too, and refuses materialized views. So ALTER … OWNER TO the present owner
    takes the lock, and changes nothing.
    """
    known = {view.oid for view in staged.found}
    taken: list[sql.Composable] = [
        sql.SQL("ALTER {} {} OWNER TO {}").format(view.word, view.identifier, sql.Identifier(view.owner))
        for view in reversed([*staged.found, *(one for one in refreshed if one.oid not in known)])
    ]
    for some in _few([*(item.identifier for item in staged.live), *(name.identifier for name in merged)]):
        names = sql.SQL(", ").join(some)
        taken.append(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    now = live.inventory_query([*staged.live, *staged.found], tables)
    locking = as_one(_LOCKED.format(locks=patience.within(taken), fail=_FAIL))
    return [
        patience.timeouts(len(staged.found) + len(refreshed)),
        *([locking] if taken else []),
        sql.SQL("SET LOCAL statement_timeout = 0"),
        as_one(_LOOKED.format(now=now, then=sql.Literal(staged.inventory), fail=_FAIL)),
    ]


def freeing(freed: Sequence[sql.Composable], patience: Patience) -> list[sql.Composable]:
    """The rest of the lock phase: the statements that free the old tables lock other relations of the reporting side.

    They come after the check of the inventory, because they change it.
    """
    if not freed:
        return [patience.check]
    block = sql.SQL("BEGIN {}; END").format(patience.within(freed))
    return [patience.timeouts(len(freed)), as_one(block), sql.SQL("SET LOCAL statement_timeout = 0"), patience.check]


def free(old: live.Object) -> Iterator[sql.Composable]:
    """The statements that free an old table from other relations: it loses its foreign keys and its sequences."""
    for key in old.foreign_keys:
        yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(old.identifier, sql.Identifier(key))
    for name in old.sequences:
        yield sql.SQL("ALTER SEQUENCE {} OWNED BY NONE").format(sql.Identifier(old.schema, name))


def as_one(block: sql.Composable) -> sql.Composed:
    """A block as one statement, because statement_timeout applies to each statement of a message separately."""
    return sql.SQL("DO {}").format(sql.Literal(block.as_string(None)))
