"""The ledger's tables: their definitions, their creation on first use, and the execution of statements on them.

The statements are SQLAlchemy Core, compiled for psycopg and executed on the session that does the work, so that a row
commits with the work that it records. Columns may be added here, but never renamed, because users' queries name them.
``ensure`` adds columns and indexes that an older version did not have.

Versions may share a ledger, for a night or for ever: one that does not know a column leaves it alone. ``FORMAT`` is for
the day on which that is not enough.
"""

# docs/decisions.md, "A ledger is refused by its format, not by its version"

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.ddl import ExecutableDDLElement

import etl
from etl.model import limits
from etl.model.errors import ConfigurationError, LedgerInUse
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Target, refuse_untrusted
from etl.sessions.query import rows, target_query
from etl.sessions.retry import persistently

SCHEMA = "etl"

FORMAT = 1
"""The ledger's format. It rises only if a version that does not know the new one would do harm: publish what must not
be published, or drop what is needed. New columns, tables and statuses do no harm, and leave it as it is.

The comment on ``etl.runs`` names the format; a ledger without one has format 1. A version that knows only lower formats
refuses the ledger.
"""

_FORMAT = re.compile(r"ledger format (\d+), since nightly-etl ([^\s,;]+)")

T = TypeVar("T")

_metadata = sa.MetaData(schema=SCHEMA)

_timestamp = sa.DateTime(timezone=True)

_room = {"fillfactor": 70}
"""Free space for new versions of a row on the same page, so that updates do not depend on autovacuum.

With the default fillfactor, the size of the tables depended on autovacuum, and grew to twice as many bytes per row
(benchmarks/NOTES.md, "The ledger").
"""

runs = sa.Table(
    "runs",
    _metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_at", _timestamp, nullable=False),
    sa.Column("finished_at", _timestamp),
    sa.Column("snapshot_id", sa.Text),
    sa.Column("snapshot_at", _timestamp),
    sa.Column("tables", sa.BigInteger),
    sa.Column("rows", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("publish", sa.Text),
    sa.Column("kept_until", _timestamp),
    sa.Column("passed_by", sa.Text),
    sa.Column("passed_reason", sa.Text),
    sa.Column("passed_error", sa.Text),
    postgresql_with=_room,
)

loads = sa.Table(
    "loads",
    _metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("shard", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("started_at", _timestamp),
    sa.Column("finished_at", _timestamp),
    sa.Column("copy_seconds", sa.Double),
    sa.Column("index_seconds", sa.Double),
    sa.Column("analyze_seconds", sa.Double),
    sa.Column("published_at", _timestamp),
    sa.Column("error", sa.Text),
    sa.Column("schema_name", sa.Text),
    sa.Column("relation_name", sa.Text),
    sa.Column("carried", postgresql.ARRAY(sa.Text)),
    sa.Column("staging_oid", sa.BigInteger),
    sa.Column("live_oid", sa.BigInteger),
    sa.Column("newest_xid", sa.BigInteger),
    sa.Column("snapshot_id", sa.Text),
    sa.Column("masked", postgresql.ARRAY(sa.Text)),  # NULL: unknown, because an older version wrote the row
    sa.Column("given_up", sa.Boolean),  # true: stopped because its run had ended; the run's error is the cause
    sa.Column("where_digest", sa.Text),  # NULL: unknown, because an older version wrote the row
    sa.Column("shrink_at_most", sa.Text),  # NULL, like rows_min: unknown, because an older version wrote the row
    sa.Column("rows_min", sa.BigInteger),
    sa.Column("load", sa.Text),  # NULL: full, because an older version wrote the row
    sa.Column("delta_oid", sa.BigInteger),  # instead of staging_oid, by which older versions find what they may publish
    sa.Column("reason", sa.Text),
    sa.Column("base", postgresql.JSONB),  # what a later load may be a delta of: model/base.py
    sa.Column("base_run", sa.Text),  # the run of whose rows this load has the changes
    sa.Column("live_state", postgresql.JSONB),  # the live table as the publish left it
    sa.Index("loads_by_table", "table_name", "published_at"),  # for recent_loads.sql
    postgresql_with=_room,
)

watermarks = sa.Table(
    "watermarks",
    _metadata,
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("last_id", sa.BigInteger),
    sa.Column("updated_at", _timestamp, nullable=False),
    sa.Column("masked", postgresql.ARRAY(sa.Text)),
)

validations = sa.Table(
    "validations",
    _metadata,
    sa.Column("schema_name", sa.Text, primary_key=True),
    sa.Column("relation_name", sa.Text, primary_key=True),
    sa.Column("constraint_name", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text),
    sa.Column("live_oid", sa.BigInteger),
    sa.Column("added_at", _timestamp),
    sa.Column("error", sa.Text),
)

_tables = (runs, loads, watermarks, validations)

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


async def ensure(target: Target) -> None:
    """Creates the ledger on first use, and adds the columns and indexes that an older version did not have.

    Raises LedgerInUse if sessions that have read or written the ledger keep it from that for too long.
    """
    parts = await _parts(target)
    if not any(_missing(parts)) and _format(parts)[0] == FORMAT:
        return
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
    async with target.transaction():
        await target.execute(schema_lock())
        await target.execute(f"SET LOCAL lock_timeout = {limits.LEDGER_LOCK_MS}".encode())
        await target.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        for table in _tables:
            await execute(target, CreateTable(table, if_not_exists=True))
        parts = await _parts(target)
        columns, indexes = _missing(parts)
        for column in columns:
            kind = column.type.compile(dialect=_dialect)
            add = f"ALTER TABLE {column.table.fullname} ADD COLUMN IF NOT EXISTS {column.name} {kind}"
            await target.execute(add.encode())
        for index in indexes:
            await execute(target, CreateIndex(index, if_not_exists=True))
        if _format(parts)[0] != FORMAT:
            told = f"COMMENT ON TABLE {runs.fullname} IS 'ledger format {FORMAT}, since nightly-etl {etl.__version__}'"
            await target.execute(told.encode())


async def _parts(target: Target) -> set[tuple[str, str]]:
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
    names = {relation for relation, _ in parts}
    for table in _tables:
        keys = {column.name for column in table.primary_key} - {part for name, part in parts if name == table.name}
        if table.name in names and keys:
            raise ConfigurationError(
                f"table {table.fullname} in the target is not this tool's ledger, for it has no"
                f" {', '.join(sorted(keys))}; the schema {SCHEMA} is the ledger's, so rename the other one"
            )
    return parts


def _refuse_newer(parts: Collection[tuple[str, str]]) -> None:
    number, since = _format(parts)
    if number > FORMAT:
        raise ConfigurationError(
            f"the ledger in the target has format {number} since nightly-etl {since} used it, and this is nightly-etl"
            f" {etl.__version__}, which knows formats up to {FORMAT}; use {since} or a later version"
        )


def _format(parts: Collection[tuple[str, str]]) -> tuple[int, str]:
    """The format of the ledger, and the version that brought it there; a ledger that names none has format 1."""
    said = [found for relation, part in parts if relation == "format" and (found := _FORMAT.search(part))]
    return (int(said[0][1]), said[0][2]) if said else (1, "")


def _missing(parts: Collection[tuple[str, str]]) -> tuple[list[sa.Column[Any]], list[sa.Index]]:
    """The columns and indexes that the ledger does not have yet."""
    columns = [column for table in _tables for column in table.columns if (table.name, column.name) not in parts]
    indexes = [index for table in _tables for index in table.indexes if (table.name, index.name) not in parts]
    return columns, sorted(indexes, key=lambda index: str(index.name))


async def exists(target: Target) -> bool:
    """Whether the target has a ledger."""
    return (runs.name, "run_id") in await _parts(target)


async def is_current(target: Target) -> bool:
    """Whether the target has a ledger with all columns that this version writes."""
    columns, _ = _missing(await _parts(target))
    return not columns


async def execute(target: Target, statement: ExecutableDDLElement | sa.Executable) -> None:
    """Executes a SQLAlchemy statement."""
    text, parameters = compiled(statement)
    await target.execute(text, parameters)


async def fetch(target: Target, statement: sa.Executable, kind: type[T]) -> list[T]:
    """Executes a SQLAlchemy statement, and returns its rows, each as a dataclass whose fields are its columns."""
    text, parameters = compiled(statement)
    return await rows(target, kind, text, parameters)


def compiled(statement: Any) -> tuple[bytes, dict[str, Any] | None]:
    """Returns the text and the parameters of a SQLAlchemy statement, for psycopg."""
    # literal_execute and IN lists are expanded now, because no SQLAlchemy engine does it at execution
    as_text = statement.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    parameters = dict(as_text.params) if getattr(as_text, "params", None) else None
    return str(as_text).encode(), parameters


def now() -> datetime:
    """The current time, as the ledger stores it."""
    return datetime.now(UTC)
