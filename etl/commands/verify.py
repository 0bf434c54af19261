"""``etl verify``: compares live tables with the source's by number of rows and checksum, computed by the servers."""

from __future__ import annotations

import asyncio
from collections import deque

import asyncpg
import psycopg

from etl.commands.answers import Comparison
from etl.model.table import Table
from etl.sessions import encoding
from etl.sessions.pair import Pair
from etl.sessions.postgres import source_session
from etl.settings.settings import Settings
from etl.source import catalog, checksum, choice, snapshot
from etl.source.checksum import Checksum
from etl.source.snapshot import Snapshot
from etl.target import guard


async def verify(settings: Settings) -> list[Comparison]:
    """Compares every table of TABLES; returns the comparisons in order of the tables' names.

    It reads the source in one snapshot. So a table that was written after the last run differs, but all tables are
    compared at the same instant. Raises EtlError if it cannot connect to one side.
    """
    application = guard.application(settings.run_id)
    async with source_session(settings.source, application) as source:
        chosen = [table.source for table in await choice.choose(source, settings.options, settings.selection)]
    held = await snapshot.take(settings.source, application, chosen, settings.options)
    try:
        assert held.holder is not None
        queue = deque(settings.options.apply(await catalog.tables(held.holder, chosen)))
        comparisons: list[Comparison] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings.jobs, len(queue))):
                group.create_task(_worker(settings, held, queue, comparisons))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        await held.release()
    return sorted(comparisons, key=lambda comparison: comparison.table)


async def _worker(settings: Settings, held: Snapshot, queue: deque[Table], comparisons: list[Comparison]) -> None:
    async with Pair(settings.source, settings.target, guard.application(settings.run_id)) as pair:
        while queue:
            comparisons.append(await _compare(settings, held, pair, queue.popleft()))


async def _compare(settings: Settings, held: Snapshot, pair: Pair, table: Table) -> Comparison:
    try:
        reader, writer = await pair.both()
        kept = encoding.kept(reader, writer)
        async with held.reading(reader, table) as source:
            expected, actual = await asyncio.gather(
                checksum.of_source(source, table, kept), checksum.of_target(writer, table, table.live.identifier, kept)
            )
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        await pair.close()
        return Comparison(str(table), None, None, f"the target has no table {table.live}")
    except (psycopg.Error, asyncpg.PostgresError) as error:
        await pair.close()
        return Comparison(str(table), None, None, settings.redact(error))
    return Comparison(str(table), expected.rows, f"{expected.sum:x}", _difference(expected, actual))


def _difference(source: Checksum, target: Checksum) -> str | None:
    if source.rows != target.rows:
        return f"{source.rows} rows in the source, {target.rows} in the target"
    if source.sum != target.sum:
        return f"{source.rows} rows on both sides, but not the same: checksums {source.sum:x} and {target.sum:x}"
    return None
