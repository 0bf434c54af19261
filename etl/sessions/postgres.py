"""Connections: asyncpg reads the source, psycopg does everything on the target.

asyncpg returns the data of a COPY in the pieces that arrive from the network. libpq returns one row in each call, which
takes three to four times the client's CPU time (benchmarks/NOTES.md, "The stream").
"""

# docs/decisions.md, "asyncpg reads, psycopg writes"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import psycopg
from psycopg import sql

from etl.model import limits
from etl.model.errors import ConfigurationError
from etl.sessions import refusal
from etl.sessions.advisory import schema_lock
from etl.sessions.query import prepare, source_query, target_query
from etl.sessions.session import SourceSession, open_source, open_target, plainer, watch_source, watch_target
from etl.sessions.stage import Stage
from etl.sessions.url import DatabaseUrl

Source: TypeAlias = SourceSession
"""A connection to the operational database."""

Target = psycopg.AsyncConnection[dict[str, Any]]
"""A connection to the reporting database; rows are dicts."""

OLDEST = 13
"""The oldest version of PostgreSQL that is supported, for source and target."""

# The text form of a value must not depend on settings of the role or the database, because COPY in text format and the
# DDL from pg_get_*def() contain values as text. With an empty search_path, these functions qualify every name, and no
# unqualified name finds an object that another role has created in "public".
_SAME_TEXT = {
    "search_path": "",
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
}

# The planner estimates that the recursive catalog queries return millions of rows, and would therefore compile them.
# With JIT compilation such a query takes 5 s for 1,000 tables, without it 0.3 s.
_NO_COMPILER = {"jit": "off"}

# A run sets its own timeouts. A timeout that is set on the role, for interactive use, must not end it.
_NO_LIMITS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
}
_NO_LIMITS_FROM_14 = {"idle_session_timeout": "0"}
_NO_LIMITS_FROM_17 = {"transaction_timeout": "0"}

# The server ends a statement, even an index build of hours, if its client has gone: since PostgreSQL 14, and only on
# operating systems that can detect it.
_LOOKS_AFTER_CLIENT = (
    "SELECT pg_catalog.set_config(name, '10s', false) FROM pg_catalog.pg_settings"
    " WHERE name = 'client_connection_check_interval' AND pg_catalog.version() LIKE '%linux%'"
)

_SOURCE_ONLY = {
    "default_transaction_read_only": "on",
    # Like pg_dump, fail if row-level security would hide rows, instead of copying only the visible rows.
    "row_security": "off",
    # Otherwise a scan could start in the middle of a table that another session scans (manual, synchronize_seqscans).
    "synchronize_seqscans": "off",
}

_TARGET_ONLY = {
    # A staging table need not survive a crash before its publish. The publish commits synchronously, and the flush of
    # its commit record includes all earlier WAL. This saves an fsync for each transaction.
    "synchronous_commit": "off",
    # A session that reads the catalog again under a lock has to see the changes that were committed while it waited.
    "default_transaction_isolation": "read committed",
    # The server sends each notice ("does not exist, skipping") as a message between the results.
    "client_min_messages": "warning",
}

# Cumulative statistics are read each time, not once in a transaction: inventory.sql detects a REFRESH ... CONCURRENTLY
# by them.
_FRESH_FROM_15 = {"stats_fetch_consistency": "none"}

# For columns without a compression method in the source: with lz4 the server spent 1.2 s of CPU time on 108 MB of
# jsonb, with pglz 2.9 to 3.4 s, for the same size (benchmarks/NOTES.md). Not every build of PostgreSQL has lz4.
_LZ4 = (
    "SELECT pg_catalog.set_config(name, 'lz4', false) FROM pg_catalog.pg_settings"
    " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)

_ASYNCPG_CANNOT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError)


async def connect_source(url: DatabaseUrl, application: str) -> Source:
    """Opens a read-only connection to the operational database.

    Raises ConfigurationError for a wrong password, role or database, ConnectionFailed otherwise.
    """
    arguments = url.asyncpg()
    arguments["server_settings"]["application_name"] = application[:63]
    connection = None
    try:
        connection = await open_source(arguments)
        version = connection.get_server_version().major
        _refuse_old("operational", url, version)
        async with asyncio.timeout(url.connect_timeout):  # the session is not watched yet
            await connection.execute(_set(_settings(version, url) | _SOURCE_ONLY))
            await watch_source(connection, url, arguments, source_query("session"))
        return connection
    except BaseException as error:
        if connection is not None:
            connection.terminate()
        if isinstance(error, _ASYNCPG_CANNOT):
            raise refusal.explained("operational", url, error) from error
        raise


async def connect_target(url: DatabaseUrl, application: str, memory: int | None = None, **other: str) -> Target:
    """Opens a connection to the reporting database, in autocommit.

    ``memory`` is its maintenance_work_mem, in kB; ``other`` are further settings of the session.

    Raises ConfigurationError for a wrong password, role or database, ConnectionFailed otherwise.
    """
    # set in the startup packet, because psycopg returns text as bytes while the server reports SQL_ASCII
    arguments = url.libpq() | {"application_name": application[:63], "client_encoding": "UTF8"}
    connection = None
    try:
        connection = await open_target(arguments)
        version = connection.info.server_version // 10000
        _refuse_old("reporting", url, version)
        settings = _settings(version, url) | _TARGET_ONLY | (_FRESH_FROM_15 if version >= 15 else {}) | other
        settings |= {"maintenance_work_mem": str(memory)} if memory else {}
        settings |= {"tcp_user_timeout": str(url.keepalives["tcp_user_timeout"])} if url.keeps_alive else {}
        async with asyncio.timeout(url.connect_timeout):  # the session is not watched yet
            await connection.execute(f"{_set(settings)}; {_LZ4}; {prepare()}".encode())
            await watch_target(connection, url, arguments, target_query("session"))
        return connection
    except BaseException as error:
        if connection is not None:
            await connection.close()
        if isinstance(error, OSError | psycopg.Error):
            raise refusal.explained("reporting", url, await plainer(url, error)) from error
        raise


def _settings(version: int, url: DatabaseUrl) -> dict[str, str]:
    settings = _SAME_TEXT | _NO_COMPILER | _NO_LIMITS
    if url.keeps_alive:  # so the server also detects a client that has gone, and releases its locks and snapshot
        settings |= {f"tcp_{name}": str(value) for name, value in url.keepalives.items() if name != "tcp_user_timeout"}
    settings |= _NO_LIMITS_FROM_14 if version >= 14 else {}
    return settings | (_NO_LIMITS_FROM_17 if version >= 17 else {})


def _set(settings: dict[str, str]) -> str:
    statements = [*(f"SET {name} = '{value}'" for name, value in settings.items()), _LOOKS_AFTER_CLIENT]
    return f"{Stage.CONNECT} {'; '.join(statements)}"


def _refuse_old(side: str, url: DatabaseUrl, version: int) -> None:
    if version < OLDEST:
        raise ConfigurationError(
            f"{side} database {url} is PostgreSQL {version}; {OLDEST} or later is needed: upgrade it, or check"
            f" ETL_{side.upper()}_URL"
        )


async def close_source(connection: Source) -> None:
    """Closes a connection to the source, in any state."""
    try:
        await connection.close(timeout=limits.CLOSE_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()  # closes the socket without a Terminate message; the server notices the closed socket


@asynccontextmanager
async def source_session(url: DatabaseUrl, application: str) -> AsyncIterator[Source]:
    """A session on the operational database, closed when the block ends; raises what ``connect_source`` raises."""
    session = await connect_source(url, application)
    try:
        yield session
    finally:
        await close_source(session)


@asynccontextmanager
async def target_session(
    url: DatabaseUrl, application: str, memory: int | None = None, **other: str
) -> AsyncIterator[Target]:
    """A session on the reporting database, closed when the block ends; raises what ``connect_target`` raises."""
    session = await connect_target(url, application, memory, **other)
    try:
        yield session
    finally:
        await session.close()


async def create_schemas(target: Target, names: Iterable[str], *, own: bool = False) -> None:
    """Creates the schemas that do not exist. The role needs CREATE on the database only if a schema is missing.

    CREATE SCHEMA IF NOT EXISTS alone fails if two sessions execute it at the same time. Therefore an advisory lock is
    taken, until the caller's transaction ends. If the schemas are this tool's ``own``, raises ConfigurationError for a
    schema that belongs to an untrusted role.
    """
    wanted = sorted(set(names))
    if not wanted:
        return
    existing = await refuse_untrusted_schemas(target, wanted) if own else await _owners(target, wanted)
    if missing := set(wanted) - existing.keys():
        create = [sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)) for name in sorted(missing)]
        async with target.transaction():
            await target.execute(schema_lock())
            await target.execute(sql.SQL("; ").join(create))
            await create_schemas(target, wanted, own=own)  # another role may have created one first: check the owners


async def refuse_untrusted_schemas(target: Target, names: Sequence[str]) -> Mapping[str, object]:
    """Raises ConfigurationError if a schema of this tool belongs to an untrusted role; returns those that exist."""
    owners = await _owners(target, names)
    untrusted = {f"schema {name}": owner for name, (owner, is_trusted) in owners.items() if not is_trusted}
    refuse_untrusted(untrusted, target.info.user)
    return owners


async def _owners(target: Target, names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """The owners of the schemas that exist, and whether each owner is this session's role or a superuser."""
    query = (
        "SELECT n.nspname::text AS name, r.rolname::text AS owner, r.rolsuper OR r.rolname = current_user AS is_trusted"
        " FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = ANY (%s)"
    )
    cursor = await target.execute(query, [list(names)])
    return {row["name"]: (row["owner"], row["is_trusted"]) for row in await cursor.fetchall()}


def refuse_untrusted(owners: Mapping[str, str], role: str) -> None:
    """Raises ConfigurationError for objects that have this tool's names and belong to untrusted roles.

    ``owners`` has the owner of each object, by a description that begins with SQL's word for its kind: "table
    etl.runs". The owner of a table or schema can make the statements of this session run the owner's code, as this
    session's role.
    """
    problems = []
    for what, owner in owners.items():
        word, _, name = what.partition(" ")
        problems.append(
            f"{what} already exists in the target and belongs to {owner}, whose code would run as {role}; drop it, or"
            f" hand it over: ALTER {word.upper()} {name} OWNER TO {role} (docs/target-role.sql)"
        )
    if problems:
        raise ConfigurationError(problems)
