"""The options' SQL, proven on the source before the first load: planned, not executed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg
from psycopg import sql

from etl.model import limits
from etl.model.catalog import MaskedColumn
from etl.model.errors import ConfigurationError, LoadFailed, is_transient, one_line
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import text


async def prove(source: Source, tables: Sequence[Table], patience: str = limits.PROOF_LOCK_TIMEOUT) -> None:
    """Plans what the options have made of the tables' SELECTs.

    What these read stays locked until the caller's transaction ends, where there is one. Raises ConfigurationError
    naming each option, its table, and what the server says of it; LoadFailed when somebody alters what is read for
    longer than ``patience``.
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
    """Gives each option by itself, to tell which one is at fault."""
    name = table.source.identifier
    if table.where:
        yield "where", table.select(sql.NULL)
    for expression in table.order_by:
        yield "order_by", sql.SQL("SELECT FROM {} ORDER BY {}").format(name, sql.SQL(expression))
    for column in table.columns:
        if isinstance(column, MaskedColumn):
            yield f"mask.{column.name}", sql.SQL("SELECT {} FROM {}").format(column.expression, name)


async def _fault(source: Source, table: Table, select: sql.Composable) -> str | None:
    """Gives what the server says of a SELECT, or None where it can be planned."""
    try:
        async with source.transaction():  # a savepoint: what follows an error is planned, too
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
        return one_line(error)
