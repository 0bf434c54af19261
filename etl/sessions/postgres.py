"""Connections: asyncpg reads the source, psycopg does everything on the target.

asyncpg hands out a COPY's bytes in the pieces in which they arrive; libpq hands out one row a call, which
costs three to four times the client's CPU (benchmarks/NOTES.md, "The stream").
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

from etl.model.errors import ConfigurationError, ConnectionFailed, one_line, sqlstate
from etl.sessions.advisory import schema_lock
from etl.sessions.query import prepare, source_query, target_query
from etl.sessions.session import open_source, open_target, watch_source, watch_target, with_state
from etl.sessions.stage import Stage
from etl.sessions.url import DatabaseUrl

Source: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection to the operational database."""

Target = psycopg.AsyncConnection[dict[str, Any]]
"""A connection to the reporting database; rows come as dicts."""

OLDEST = 13
"""The oldest PostgreSQL, on either side."""

# The text form of a value must not depend on who set what for the role or the database, because COPY in
# text format, and the DDL that pg_get_*def() gives, pass through it. An empty search_path makes those
# functions qualify every name, and leaves nothing for an object that another role made in "public" to catch.
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

# The planner thinks that the recursive catalog queries give millions of rows, and would compile them: 5 s for
# 1,000 tables, of which the query itself takes 0.3 s.
_NO_COMPILER = {"jit": "off"}

# A night's work has its own limits; one set on the role for interactive use must not end it.
_NO_LIMITS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
}
_NO_LIMITS_FROM_14 = {"idle_session_timeout": "0"}
_NO_LIMITS_FROM_17 = {"transaction_timeout": "0"}

# A statement ends when its client is gone, be it an index build of hours; from 14 on, and where the system can tell.
_LOOKS_AFTER_CLIENT = (
    "SELECT pg_catalog.set_config(name, '10s', false) FROM pg_catalog.pg_settings"
    " WHERE name = 'client_connection_check_interval' AND pg_catalog.version() LIKE '%linux%'"
)

_SOURCE_ONLY = {
    "default_transaction_read_only": "on",
    # Fail where row security would hide rows, as pg_dump does, instead of copying some of them.
    "row_security": "off",
    # Concurrent scans of one table would start in the middle; see the manual on synchronize_seqscans.
    "synchronize_seqscans": "off",
}

_TARGET_ONLY = {
    # Staged rows need not survive a crash by themselves: the publish commits synchronously, and its
    # commit record makes all WAL before it durable too. Saves an fsync a transaction.
    "synchronous_commit": "off",
    # Who looks again under a lock has to see what was committed while it waited for it.
    "default_transaction_isolation": "read committed",
    # Each notice ("does not exist, skipping") is a packet of its own, in the middle of the answers.
    "client_min_messages": "warning",
}

# Statistics are read anew each time, not once a transaction: they tell of a REFRESH ... CONCURRENTLY (inventory.sql).
_FRESH_FROM_15 = {"stats_fetch_consistency": "none"}

# Values that the source does not say a compression for: with lz4 the server spent 1.2 s of CPU on 108 MB of jsonb, with
# pglz 2.9 to 3.4 s, for the same size (benchmarks/NOTES.md). Not every build has it.
_LZ4 = (
    "SELECT pg_catalog.set_config(name, 'lz4', false) FROM pg_catalog.pg_settings"
    " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
)

# Wrong for certain, however often it is tried: the password, the role, the database.
_MISCONFIGURED = {"28P01", "28000", "3D000"}


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
        async with asyncio.timeout(url.connect_timeout):  # nobody watches yet
            await connection.execute(_set(_settings(version, url) | _SOURCE_ONLY))
            await watch_source(connection, url, arguments, source_query("session"))
        return connection
    except BaseException as error:
        if connection is not None:
            connection.terminate()
        if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError | ValueError):
            raise _unreachable("operational", url, error) from error
        raise


async def connect_target(url: DatabaseUrl, application: str, memory: int | None = None, **other: str) -> Target:
    """Opens a connection to the reporting database, in autocommit.

    Takes what maintenance may have of ``memory``, in kB, and other settings of the session.

    Raises ConfigurationError for a wrong password, role or database, ConnectionFailed otherwise.
    """
    # the encoding from the first answer on: psycopg gives bytes for text where the server says SQL_ASCII
    arguments = url.libpq() | {"application_name": application[:63], "client_encoding": "UTF8"}
    connection = None
    try:
        connection = await open_target(arguments)
        version = connection.info.server_version // 10000
        _refuse_old("reporting", url, version)
        settings = _settings(version, url) | _TARGET_ONLY | (_FRESH_FROM_15 if version >= 15 else {}) | other
        settings |= {"maintenance_work_mem": str(memory)} if memory else {}
        settings |= {"tcp_user_timeout": str(url.keepalives["tcp_user_timeout"])} if url.keeps_alive else {}
        async with asyncio.timeout(url.connect_timeout):  # nobody watches yet
            await connection.execute(f"{_set(settings)}; {_LZ4}; {prepare()}".encode())
            await watch_target(connection, url, arguments, target_query("session"))
        return connection
    except BaseException as error:
        if connection is not None:
            await connection.close()
        if isinstance(error, OSError | psycopg.Error):
            raise _unreachable("reporting", url, await with_state(url, error)) from error
        raise


def _settings(version: int, url: DatabaseUrl) -> dict[str, str]:
    settings = _SAME_TEXT | _NO_COMPILER | _NO_LIMITS
    if url.keeps_alive:  # the server, too, lets go of a client that is gone, and of its locks and its snapshot
        settings |= {f"tcp_{name}": str(value) for name, value in url.keepalives.items() if name != "tcp_user_timeout"}
    settings |= _NO_LIMITS_FROM_14 if version >= 14 else {}
    return settings | (_NO_LIMITS_FROM_17 if version >= 17 else {})


def _set(settings: dict[str, str]) -> str:
    statements = [*(f"SET {name} = '{value}'" for name, value in settings.items()), _LOOKS_AFTER_CLIENT]
    return f"{Stage.CONNECT} {'; '.join(statements)}"


def _unreachable(side: str, url: DatabaseUrl, error: Exception) -> Exception:
    if sqlstate(error) in _MISCONFIGURED or _is_misconfigured(url, error):
        return ConfigurationError(f"{side} database {url}: {one_line(error)}; check ETL_{side.upper()}_URL")
    reason = "no answer in time (connect_timeout)" if isinstance(error, TimeoutError) else one_line(error)
    return ConnectionFailed(f"{side} database {url} cannot be reached: {reason}")


def _is_misconfigured(url: DatabaseUrl, error: Exception) -> bool:
    """Whether a driver has refused its arguments, or lacks a password, before a server has refused anything."""
    if isinstance(error, psycopg.OperationalError):
        return (error.pgconn is not None and error.pgconn.needs_password) or url.is_refused_by_libpq
    return isinstance(error, asyncpg.ClientConfigurationError)


def _refuse_old(side: str, url: DatabaseUrl, version: int) -> None:
    if version < OLDEST:
        raise ConfigurationError(f"{side} database {url} is PostgreSQL {version}; {OLDEST} or later is needed")


async def close_source(connection: Source) -> None:
    """Closes a connection to the source, whatever state it is in."""
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()  # closes the socket without a farewell; the server sees that it is gone


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
    """Makes the schemas that are missing; needs CREATE on the database only when one is.

    CREATE SCHEMA IF NOT EXISTS alone fails when two sessions come at once, hence the lock, held until the
    caller's transaction ends. Raises ConfigurationError where schemas of this tool's ``own`` are somebody else's.
    """
    wanted = sorted(set(names))
    if not wanted:
        return
    there = await refuse_untrusted_schemas(target, wanted) if own else await _owners(target, wanted)
    if missing := set(wanted) - there.keys():
        create = [sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)) for name in sorted(missing)]
        async with target.transaction():
            await target.execute(schema_lock())
            await target.execute(sql.SQL("; ").join(create))
            await create_schemas(target, wanted, own=own)  # somebody else may have been faster


async def refuse_untrusted_schemas(target: Target, names: Sequence[str]) -> Mapping[str, object]:
    """Raises ConfigurationError where a schema of this tool's own is somebody else's; gives those that are there."""
    owners = await _owners(target, names)
    foreign = {f"schema {name}": owner for name, (owner, is_trusted) in owners.items() if not is_trusted}
    refuse_untrusted(foreign, target.info.user)
    return owners


async def _owners(target: Target, names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Gives the owners of the schemas that are there, and whether each is this session's role or a superuser."""
    query = (
        "SELECT n.nspname::text AS name, r.rolname::text AS owner, r.rolsuper OR r.rolname = current_user AS is_trusted"
        " FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner WHERE n.nspname = ANY (%s)"
    )
    cursor = await target.execute(query, [list(names)])
    return {row["name"]: (row["owner"], row["is_trusted"]) for row in await cursor.fetchall()}


def refuse_untrusted(owners: Mapping[str, str], role: str) -> None:
    """Raises ConfigurationError naming things that would be taken for this tool's own, and belong to others.

    Takes their owners, by a description that starts with SQL's word for the kind. Whoever owns a table or a schema can
    have what is done there run code of theirs, as this session's role.
    """
    problems = []
    for what, owner in owners.items():
        word, _, name = what.partition(" ")
        problems.append(
            f"{what} is there in the target already and belongs to {owner}, whose code would run as {role}; drop it, or"
            f" hand it over: ALTER {word.upper()} {name} OWNER TO {role} (docs/target-role.sql)"
        )
    if problems:
        raise ConfigurationError(problems)
