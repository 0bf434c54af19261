"""The ledger's tables themselves: what they are, made on first use, and how statements on them are executed.

SQLAlchemy Core, compiled for psycopg and executed on the session that does the work, so that a row commits with the
work that it records. Columns may be added here, never renamed: users' queries hang on them. A column or an index that
an older version did not have is added on first use.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.ddl import ExecutableDDLElement

from etl.model.errors import ConfigurationError
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Target, refuse_untrusted
from etl.sessions.query import target_query

SCHEMA = "etl"

_metadata = sa.MetaData(schema=SCHEMA)

_timestamp = sa.DateTime(timezone=True)

_room = {"fillfactor": 70}
"""A row's later versions find room on its page, so that no update waits for autovacuum to have its space back.

Without, their bytes a row went up and down with autovacuum, to twice as much (benchmarks/NOTES.md, "The ledger").
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
    sa.Column("masked", postgresql.ARRAY(sa.Text)),  # NULL: an older version wrote the row, and nobody knows
    sa.Column("given_up", sa.Boolean),  # true: stopped because its run had ended, whose error says why
    sa.Index("loads_by_table", "table_name", "published_at"),  # for what the last nights took: recent_loads.sql
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

_tables = (runs, loads, watermarks)

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


async def ensure(target: Target) -> None:
    """Makes the ledger on first use, and adds the columns and indexes that an older version did not have."""
    parts = await _parts(target)
    if not any(_missing(parts)):
        return
    async with target.transaction():
        await target.execute(schema_lock())
        await target.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        for table in _tables:
            await execute(target, CreateTable(table, if_not_exists=True))
        columns, indexes = _missing(await _parts(target))
        for column in columns:
            kind = column.type.compile(dialect=_dialect)
            add = f"ALTER TABLE {column.table.fullname} ADD COLUMN IF NOT EXISTS {column.name} {kind}"
            await target.execute(add.encode())
        for index in indexes:
            await execute(target, CreateIndex(index, if_not_exists=True))


async def _parts(target: Target) -> set[tuple[str, str]]:
    """Gives the ledger's columns and indexes, by table and name.

    Raises ConfigurationError where its schema or a table is somebody else's, or is no ledger.
    """
    cursor = await target.execute(target_query("ledger_parts"))
    rows = await cursor.fetchall()
    foreign = {row["part"]: row["owner"] for row in rows if row["owner"] is not None}
    refuse_untrusted(foreign, target.info.user)
    there = {(row["relation"], row["part"]) for row in rows}
    names = {relation for relation, _ in there}
    for table in _tables:
        keys = {column.name for column in table.primary_key} - {part for name, part in there if name == table.name}
        if table.name in names and keys:
            raise ConfigurationError(
                f"table {table.fullname} in the target is not this tool's ledger, for it has no"
                f" {', '.join(sorted(keys))}; the schema {SCHEMA} is the ledger's, so rename the other one"
            )
    return there


def _missing(there: Collection[tuple[str, str]]) -> tuple[list[sa.Column[Any]], list[sa.Index]]:
    """Gives the ledger's columns and indexes that are not there."""
    columns = [column for table in _tables for column in table.columns if (table.name, column.name) not in there]
    indexes = [index for table in _tables for index in table.indexes if (table.name, index.name) not in there]
    return columns, sorted(indexes, key=lambda index: str(index.name))


async def exists(target: Target) -> bool:
    """Tells whether the target has a ledger."""
    return (runs.name, "run_id") in await _parts(target)


async def is_current(target: Target) -> bool:
    """Tells whether the target has a ledger with all the columns that this version writes."""
    columns, _ = _missing(await _parts(target))
    return not columns


async def execute(target: Target, statement: ExecutableDDLElement | sa.Executable) -> None:
    """Executes a statement of SQLAlchemy's."""
    text, parameters = compiled(statement)
    await target.execute(text, parameters)


async def fetch(target: Target, statement: sa.Executable) -> list[dict[str, Any]]:
    """Executes one that gives rows."""
    text, parameters = compiled(statement)
    cursor = await target.execute(text, parameters)
    return await cursor.fetchall()


def compiled(statement: Any) -> tuple[bytes, dict[str, Any] | None]:
    """Gives a statement as psycopg takes it."""
    # literal_execute and IN lists are expanded at compile time, because no engine will do it later
    as_text = statement.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    parameters = dict(as_text.params) if getattr(as_text, "params", None) else None
    return str(as_text).encode(), parameters


def now() -> datetime:
    """The instant, as the ledger writes it."""
    return datetime.now(UTC)
