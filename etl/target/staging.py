"""Staging tables: they hold a load's rows, where no reader can see them, until the publish.

Each live schema has a staging schema of its own, so that tables, indexes and constraints have their final names from
the start. No role is granted USAGE on a staging schema. Empty staging schemas stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from etl.logs.log import get_logger
from etl.model import limits
from etl.model.catalog import Column
from etl.model.errors import ConnectionFailed, LoadFailed
from etl.model.name import OWN_PLACES, TargetName, arrays
from etl.model.redaction import own_words
from etl.model.table import Table
from etl.sessions import postgres
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once

log = get_logger()

Kept: TypeAlias = Mapping[TargetName, str]
"""The tables that could not be dropped, each with the reason."""


def schemas(live_schemas: Iterable[str]) -> list[str]:
    """This tool's own schemas that belong to live ones: for staging tables, and for old tables."""
    return [place.schema(schema) for schema in live_schemas for place in OWN_PLACES]


async def refuse_untrusted(target: Target, live_schemas: Iterable[str]) -> None:
    """Raises ConfigurationError if a staging schema, or a schema for old tables, is untrusted."""
    await postgres.refuse_untrusted_schemas(target, schemas(live_schemas))


async def create_schemas(target: Target, live_schemas: Iterable[str]) -> None:
    """Creates the missing staging schemas, and schemas for old tables.

    Raises ConfigurationError if one exists and is untrusted.
    """
    await postgres.create_schemas(target, schemas(live_schemas), own=True)


def creation(table: Table) -> list[sql.Composed]:
    """The statements that create an empty staging table, and drop one that an earlier run left.

    ``create`` reads the result of the last statement.
    """
    columns = sql.SQL(", ").join(_column(column) for column in table.columns)
    create_table = sql.SQL(Stage.CREATE + " CREATE {kind}TABLE {name} ({columns}){place}").format(
        name=table.staged.identifier,
        kind=sql.SQL("UNLOGGED " if table.unlogged else ""),
        columns=columns,
        place=place(table.method, table.storage, table.tablespace),
    )
    drop_left = sql.SQL("DROP TABLE IF EXISTS {}, {}").format(table.staged.identifier, table.live.gone.identifier)
    # PostgreSQL waits for a session that is filling a table whose array type has this name: for hours, if that is big.
    times = 0, limits.LIVE_TABLE_LOCK_TIMEOUT
    endless, bounded = (sql.SQL(f"SET LOCAL lock_timeout = '{time}'").format() for time in times)
    # Set before the rows come: they are stored and compressed as their column says at that time.
    settings = _column_settings(table)
    made = sql.SQL(
        "SELECT {}::pg_catalog.regclass::oid AS oid, pg_catalog.pg_current_xact_id()::text::bigint AS xid"
    ).format(sql.Literal(table.staged.identifier.as_string(None)))
    return [drop_left, endless, create_table, bounded, *settings, made]


@dataclass(frozen=True, slots=True)
class Made:
    """A new staging table: its oid, which distinguishes it from a later one of the same name, and its transaction."""

    oid: int
    xid: int


async def create(target: Target, table: Table, *before: sql.Composable) -> Made:
    """Creates an empty staging table, after the statements ``before``.

    Raises LoadFailed if a table that an earlier run has left is in use.
    """
    try:
        row = await (await at_once(target, [*before, *creation(table)])).fetchone()
    except psycopg.errors.LockNotAvailable as error:
        raise LoadFailed(
            f"{table.staged}, which an earlier run has left, was in use for over {limits.LIVE_TABLE_LOCK_TIMEOUT}; run"
            " again when it is free"
        ) from error
    assert row is not None
    return Made(**row)


async def create_gone_schemas(target: Target, tables: Iterable[TargetName]) -> None:
    """Creates the missing schemas for the keys of rows that deltas delete."""
    await postgres.create_schemas(target, {table.gone.schema for table in tables}, own=True)


def _column(column: Column) -> sql.Composed:
    # Types and collations are the source's own format_type() and quote_ident(), so they are SQL already.
    collation = f" COLLATE {column.collation}" if column.collation else ""
    definition = sql.Identifier(column.name) + sql.SQL(f" {column.type}{collation}")
    if column.not_null and column.not_null_name:
        definition += sql.SQL(" CONSTRAINT {}").format(sql.Identifier(column.not_null_name))
    return definition + sql.SQL(" NOT NULL" if column.not_null else "")


def _column_settings(table: Table) -> Iterator[sql.Composed]:
    for column in table.columns:
        settings = {"STORAGE": column.storage, "COMPRESSION": column.compression, "STATISTICS": column.statistics}
        for name, value in settings.items():
            if value is not None:
                alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET {} {}")
                words = sql.SQL(name), sql.SQL(str(value))
                yield alter.format(table.staged.identifier, sql.Identifier(column.name), *words)


def place(method: str | None, parameters: Sequence[str], tablespace: str | None) -> sql.Composed:
    """The clauses of CREATE that say how and where rows are stored; those that are None are the target's defaults."""
    clauses = [
        sql.SQL(" USING {}").format(sql.Identifier(method)) if method else sql.SQL(""),
        sql.SQL(f" WITH ({', '.join(parameters)})" if parameters else ""),
        sql.SQL(" TABLESPACE {}").format(sql.Identifier(tablespace)) if tablespace else sql.SQL(""),
    ]
    return sql.SQL("").join(clauses)


async def begin_range(target: Target) -> int:
    """Prepares the caller's transaction for a page range, and returns the transaction's id.

    Its commit is synchronous. A crash could otherwise lose this range and keep later transactions: the table would lack
    rows, and no run would notice.
    """
    await target.execute(b"SET LOCAL synchronous_commit = on")
    cursor = await target.execute(b"SELECT pg_catalog.pg_current_xact_id()::text::bigint AS xid")
    row = await cursor.fetchone()
    assert row is not None
    return int(row["xid"])


async def arrived(target: Target, table: Table, xid: int) -> int:
    """Waits until the transaction of a lost session has ended, and counts the rows that it has left in staging.

    A commit in doubt was done if the rows are in the table.
    """
    async with asyncio.timeout(limits.LOST_TRANSACTION_SECONDS):
        while not await _has_ended(target, xid):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    count = sql.SQL("SELECT count(*) AS rows FROM {} WHERE xmin::text = {}")
    cursor = await target.execute(count.format(table.staged.identifier, sql.Literal(str(xid % 2**32))))
    row = await cursor.fetchone()
    return int(row["rows"]) if row else 0


async def _has_ended(target: Target, xid: int) -> bool:
    cursor = await target.execute(target_query("end_transaction"), {"xid": xid})
    row = await cursor.fetchone()
    return row is not None and bool(row["ended"])


def comments(table: Table) -> list[sql.Composed]:
    """The statements that put the source's comments on the staging table, its columns, indexes and constraints."""
    name, schema = table.staged.identifier, table.staged.schema
    texts = [(sql.SQL("TABLE ") + name, table.comment)]
    texts += [
        (sql.SQL("COLUMN {}.{}").format(name, sql.Identifier(column.name)), column.comment) for column in table.columns
    ]
    texts += [(sql.SQL("INDEX ") + sql.Identifier(schema, index.name), index.comment) for index in table.indexes]
    texts += [
        (sql.SQL("STATISTICS ") + sql.Identifier(schema, statistics.name), statistics.comment)
        for statistics in table.statistics
    ]
    texts += [
        (sql.SQL("CONSTRAINT {} ON {}").format(sql.Identifier(constraint.name), name), constraint.comment)
        for constraint in table.constraints
    ]
    comment = sql.SQL("COMMENT ON {} IS {}")
    return [comment.format(what, sql.Literal(text)) for what, text in texts if text is not None]


async def add(target: Target, statements: Sequence[str]) -> None:
    """Executes statements that a query of the catalog has returned."""
    if statements:
        await target.execute(sql.SQL("; ").join(sql.SQL(statement) for statement in statements))


def analyze(table: Table) -> sql.Composed:
    """The statement that collects planner statistics, so that readers' first queries are planned well."""
    return sql.SQL(Stage.ANALYZE + " ANALYZE {}").format(table.staged.identifier)


async def give(target: Target, word: sql.SQL, staged: TargetName, owner: str) -> None:
    """Changes the owner of a table or view in staging, and grants the new owner CREATE on the staging schema meanwhile.

    PostgreSQL requires that a new owner has CREATE on the schema. The lock is for two sessions that do this at once.
    """
    schema, name, role = sql.Identifier(staged.schema), staged.identifier, sql.Identifier(owner)
    statements = [
        schema_lock(),
        sql.SQL("GRANT CREATE ON SCHEMA {} TO {}").format(schema, role),
        sql.SQL("ALTER {} {} OWNER TO {}").format(word, name, role),
        sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(schema, role),
    ]
    async with target.transaction():
        await target.execute(sql.SQL("; ").join(statements))


async def lock(target: Target, table: Table) -> None:
    """Locks a staging table against changes by other sessions, until the caller's transaction ends.

    Raises ConnectionFailed if the table does not exist: its rows were committed asynchronously, and a crash of the
    server has lost them.
    """
    try:
        await target.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table.staged.identifier))
    except psycopg.errors.UndefinedTable as error:
        raise ConnectionFailed(f"the reporting database has lost the rows staged of {table}; run again") from error


async def drop(target: Target, live: Iterable[TargetName]) -> Kept:
    """Drops the staging tables of live ones, as far as they are there; returns the reasons for those that are kept."""
    return await drop_staged(target, [name for table in live for name in (table.staging, table.gone)])


async def drop_staged(target: Target, staged: Iterable[TargetName], patience: float | None = None) -> Kept:
    """Drops the tables of staging schemas that exist, with the views of staging schemas on them, and nothing else.

    A table is kept if an object of another role depends on it, or if another session (pg_dump locks all tables that
    there are) still uses it after ``patience`` seconds. Logs and returns the reason for each.
    """
    kept: dict[TargetName, str] = {}
    names = list(staged)
    for start in range(0, len(names), limits.TABLES_OF_ONE_DROP):
        some = names[start : start + limits.TABLES_OF_ONE_DROP]
        try:
            async with _undone(target):
                await target.execute(_dropping(some, patience or limits.DROP_LOCK_SECONDS))
        except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.LockNotAvailable) as error:
            if isinstance(error, psycopg.errors.DependentObjectsStillExist):
                await drop_views(target, some)
            kept |= {one: reason for one in some if (reason := await _drop_alone(target, one))}
    return kept


async def _drop_alone(target: Target, staged: TargetName) -> str | None:
    try:
        async with _undone(target):
            await target.execute(_dropping([staged], limits.DROP_ALONE_LOCK_SECONDS))
        return None
    except psycopg.errors.DependentObjectsStillExist as error:
        # not the server's hint, which is to drop the others, too
        depends, remedy = error.diag.message_detail or "", "drop that, or change it to the live table"
        reason = f"{staged} cannot be dropped: {' and '.join(depends.splitlines())}"
    except psycopg.errors.LockNotAvailable:
        cursor = await target.execute(target_query("holders"), arrays([staged]))
        who = [row["who"] for row in await cursor.fetchall()] or ["another session"]
        reason, remedy = f"{staged} cannot be dropped: it is in use by {who[0]}", "end that session, or wait for it"
    log.warning("table.kept", table=str(staged), error=own_words(reason))
    return f"{reason}; {remedy}"


def _undone(target: Target) -> AbstractAsyncContextManager[object]:
    """A savepoint if a transaction is open, so that only the one statement is rolled back if it fails."""
    return nullcontext() if target.info.transaction_status == TransactionStatus.IDLE else target.transaction()


def _dropping(tables: Iterable[TargetName], patience: float) -> sql.Composed:
    """The statement that drops tables, and waits so many seconds for their locks; the setting is then as before."""
    names = sql.SQL(", ").join(table.identifier for table in tables)
    return sql.SQL(
        "SELECT pg_catalog.set_config('etl.lock_timeout', pg_catalog.current_setting('lock_timeout'), true),"
        f" pg_catalog.set_config('lock_timeout', '{max(1, round(patience * 1000))}', true);"
        " DROP TABLE IF EXISTS {};"
        " SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('etl.lock_timeout'), true)"
    ).format(names)


async def drop_views(target: Target, staged: Iterable[TargetName]) -> None:
    """Drops the views of staging schemas that depend on the tables ``staged``."""
    cursor = await target.execute(target_query("staging_views"), arrays(staged))
    if statements := [row["statement"] for row in await cursor.fetchall()]:
        await add(target, statements)


async def gone(target: Target, live: Iterable[TargetName]) -> set[TargetName]:
    """The live tables of which rows are to be deleted whose keys are staged."""
    there = await tables(target)
    return {table for table in live if table.gone in there}


async def drop_aside(target: Target, live: Iterable[TargetName], patience: float | None = None) -> Kept:
    """Drops the old tables of a publish, and the views on them; returns the reasons for those that are kept."""
    return await drop_staged(target, [table.aside for table in live], patience)


async def tables(target: Target) -> dict[TargetName, int]:
    """The oids of the tables in what look like this tool's own schemas, by name."""
    cursor = await target.execute(target_query("staging_tables"))
    return {TargetName(row["schema"], row["name"]): row["oid"] for row in await cursor.fetchall()}
