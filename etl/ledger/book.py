"""The ledger as a whole: whether the target has one, its creation on first use, and its upgrade.

The statements on its rows are files of ``sql/ledger/``. The session that does the work executes them, so that a row
commits with the work that it records. ``ensure`` adds columns and indexes that an older version did not have.

Versions may share a ledger, for a night or for ever: one that does not know a column leaves it alone. ``FORMAT`` is for
the day on which that is not enough.
"""

# docs/decisions.md, "A ledger is refused by its format, not by its version"

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime

import psycopg

import etl
from etl.ledger import view
from etl.ledger.parts import COLUMNS, KEYS, SCHEMA, Part, missing, missing_columns
from etl.model import limits
from etl.model.errors import ConfigurationError, LedgerInUse
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Target, refuse_untrusted
from etl.sessions.query import target_query
from etl.sessions.retry import persistently

FORMAT = 1
"""The ledger's format. It rises only if a version that does not know the new one would do harm: publish what must not
be published, or drop what is needed. New columns, tables and statuses do no harm, and leave it as it is.

The comment on ``etl.runs`` names the format; a ledger without one has format 1. A version that knows only lower formats
refuses the ledger.
"""

_FORMAT = re.compile(r"ledger format (\d+), since nightly-etl ([^\s,;]+)")


async def ensure(target: Target) -> None:
    """Creates the ledger on first use, and adds the columns, indexes and the view that an older version did not have.

    Raises LedgerInUse if sessions that have read or written the ledger keep it from that for too long.
    """
    parts = await _parts(target)
    if missing(parts) or _format(parts)[0] != FORMAT:
        await _upgraded(target)
    if not view.is_current(parts):
        await view.ensure(target, parts)


async def _upgraded(target: Target) -> None:
    """Makes the ledger what this version needs, as soon as other sessions let it; raises LedgerInUse at a deadline."""
    try:
        await persistently(lambda: _upgrade(target), _is_in_use, limits.LEDGER_UPGRADE_SECONDS)
    except psycopg.Error as error:
        if not _is_in_use(error):
            raise
        users = [row["who"] for row in await (await target.execute(target_query("ledger_users"))).fetchall()]
        who = f"by {'; '.join(users[: limits.BLOCKERS_NAMED])}" if users else "by sessions that come and go"
        raise LedgerInUse(
            f"the ledger of an older version needs further columns, and its tables were in use for"
            f" {limits.LEDGER_UPGRADE_SECONDS:g} s, {who}; end these transactions, and run again"
        ) from error


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected))


async def _upgrade(target: Target) -> None:
    """Makes the ledger what this version needs, in one transaction.

    A lock that waits makes all other users of the ledger wait behind it, so it gives way soon.
    """
    from etl.ledger import tables  # importing SQLAlchemy takes a third of a start, which other nights save

    async with target.transaction():
        await target.execute(schema_lock())
        await target.execute(f"SET LOCAL lock_timeout = {limits.LEDGER_LOCK_MS}".encode())
        before = {relation for relation, _ in await _parts(target)}
        for statement in tables.creation():
            await target.execute(statement)
        await view.keep_private(target, COLUMNS.keys() - before)
        parts = await _parts(target)
        for statement in tables.addition(missing(parts)):
            await target.execute(statement)
        if _format(parts)[0] != FORMAT:
            said = f"ledger format {FORMAT}, since nightly-etl {etl.__version__}"
            await target.execute(f"COMMENT ON TABLE {SCHEMA}.runs IS '{said}'".encode())


async def _parts(target: Target) -> set[Part]:
    """The columns and indexes that the ledger has, as pairs of table and name.

    Raises ConfigurationError if the schema or a table belongs to an untrusted role, if a table is not the ledger's, and
    if the ledger has a format that this version does not know.
    """
    cursor = await target.execute(target_query("ledger_parts"))
    rows = await cursor.fetchall()
    untrusted = {row["part"]: row["owner"] for row in rows if row["owner"] is not None}
    refuse_untrusted(untrusted, target.info.user)
    parts = {(row["relation"], row["part"]) for row in rows}
    _refuse_newer(parts)
    there = {relation for relation, _ in parts}
    for table, key in KEYS.items():
        lacking = set(key) - {part for name, part in parts if name == table}
        if table in there and lacking:
            raise ConfigurationError(
                f"table {SCHEMA}.{table} in the target is not this tool's ledger, for it has no"
                f" {', '.join(sorted(lacking))}; the schema {SCHEMA} is the ledger's, so rename the other one"
            )
    return parts


def _refuse_newer(parts: Collection[Part]) -> None:
    number, since = _format(parts)
    if number > FORMAT:
        raise ConfigurationError(
            f"the ledger in the target has format {number} since nightly-etl {since} used it, and this is nightly-etl"
            f" {etl.__version__}, which knows formats up to {FORMAT}; use {since} or a later version"
        )


def _format(parts: Collection[Part]) -> tuple[int, str]:
    """The format of the ledger, and the version that brought it there; a ledger that names none has format 1."""
    said = [found for relation, part in parts if relation == "format" and (found := _FORMAT.search(part))]
    return (int(said[0][1]), said[0][2]) if said else (1, "")


async def exists(target: Target) -> bool:
    """Whether the target has a ledger."""
    return ("runs", "run_id") in await _parts(target)


async def is_current(target: Target) -> bool:
    """Whether the target has a ledger with all columns that this version writes."""
    return not missing_columns(await _parts(target))


def now() -> datetime:
    """The current time, as the ledger stores it."""
    return datetime.now(UTC)
