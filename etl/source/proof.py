"""Proves the options' SQL before the first load: the source plans it, and does not execute it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg
from psycopg import sql

from etl.model import limits
from etl.model.catalog import MaskedColumn
from etl.model.errors import ConfigurationError, LoadFailed, one_line
from etl.model.table import Table
from etl.model.transient import is_transient
from etl.model.wording import did_you_mean
from etl.sessions.postgres import Source
from etl.sessions.query import text


async def prove(source: Source, tables: Sequence[Table], patience: str = limits.PROOF_LOCK_TIMEOUT) -> None:
    """Plans the tables' SELECTs with the options' SQL.

    The tables that they read stay locked until the caller's transaction ends, if there is one. Raises
    ConfigurationError naming each wrong option, its table and the server's error; LoadFailed if another session keeps a
    table locked for longer than ``patience``.
    """
    with_sql = [table for table in tables if table.has_sql]
    if not with_sql:
        return
    async with source.transaction():  # within the caller's, a savepoint
        await source.execute(f"SET LOCAL lock_timeout = '{patience}'")
        if problems := [problem for table in with_sql async for problem in _problems(source, table)]:
            raise ConfigurationError(problems)
        await source.execute("SET LOCAL lock_timeout = '0'")


async def _problems(source: Source, table: Table) -> AsyncIterator[str]:
    whole = await _fault(source, table, table.copied())
    if whole is None:
        return
    found = False
    for option, select in _parts(table):
        if fault := await _fault(source, table, select):
            found = True
            yield f"options of {table}: {option}: {fault}"
    if not found:
        yield f"options of {table}: {whole}"


def _parts(table: Table) -> Iterator[tuple[str, sql.Composable]]:
    """A SELECT with each option alone, to find out which one is wrong."""
    name = table.source.identifier
    if table.where:
        yield "where", table.select(sql.NULL)
    for expression in table.order_by:
        yield "order_by", sql.SQL("SELECT FROM {} ORDER BY {}").format(name, sql.SQL(expression))
    for column in table.columns:
        if isinstance(column, MaskedColumn):
            yield f"mask.{column.name}", sql.SQL("SELECT {} FROM {}").format(column.expression, name)


async def _fault(source: Source, table: Table, select: sql.Composable) -> str | None:
    """The server's error about a SELECT, or None if the SELECT can be planned."""
    try:
        async with source.transaction():  # a savepoint, so that the next SELECT can be planned after an error
            await source.fetch("EXPLAIN " + text(select))
        return None
    except asyncpg.LockNotAvailableError as error:
        raise LoadFailed(
            f"options of {table}: somebody is altering a table of the source that their SQL reads ({one_line(error)});"
            " try again when they are done"
        ) from error
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        return _explained(table, error)


def _explained(table: Table, error: asyncpg.PostgresError) -> str:
    """The server's words; for a column that it does not know, with the table's own that is nearest, and a remedy."""
    message = str(error.args[0]) if error.args else ""
    quoted = re.findall(r"[\"“„«»「『](.+?)[\"”“»«」』]", message)
    if isinstance(error, asyncpg.UndefinedColumnError) and quoted:
        name = quoted[-1].rpartition(".")[2]
        if near := did_you_mean(name, [column.name for column in table.columns]):
            return f"{message}{near}"
    remedy = "mend its SQL"
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedFunctionError):
        remedy = "mend its SQL, in which names have their schema, as in public.orders"
    return f"{one_line(error).rstrip('.')}; {remedy}"
