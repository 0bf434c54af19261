"""What a load does once a table's rows are in: the indexes of a big one side by side, and then the finish."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

import structlog

from etl import ledger, live, staging
from etl.catalog import Index, Table
from etl.errors import IndexUnbuildable
from etl.fill import Filled
from etl.ledger import Load
from etl.postgres import Pair, Target
from etl.shape import TableOptions

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """What was done before the finish: the indexes, those that could not be built (with the reason), the seconds."""

    names: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


async def build_index(table: Table, index: Index, options: TableOptions, pair: Pair) -> str | None:
    """Builds one index of a table whose rows are committed; gives why it could not, where the options let it be."""
    try:
        await staging.build_index(await pair.writer(), table, index)
        return None
    except IndexUnbuildable as error:
        if options.unbuildable_indexes != "skip":
            raise
        return staging.reason_of(error)


async def finish(
    run_id: str, table: Table, pair: Pair, *, options: TableOptions, began: datetime, filled: Filled, built: Built
) -> Load:
    """Makes a filled staging table ready, and writes that it is staged, in one transaction; gives the load."""
    writer = await pair.writer()
    async with writer.transaction():
        start = perf_counter()
        await _build(writer, table, options, built)
        indexed = perf_counter()
        await staging.analyze(writer, table)
        if drifted := await live.drifted(writer, table.live, table.columns):
            log.info("table.drifted", table=str(table), changes=str(drifted))
        load = Load(
            table_name=str(table),
            schema_name=table.live.schema,
            relation_name=table.live.name,
            status="staged",
            started_at=began,
            finished_at=datetime.now(UTC),
            rows=filled.rows,
            bytes=filled.bytes,
            copy_seconds=round(filled.seconds, 3),
            index_seconds=round(built.seconds + indexed - start, 3),
            analyze_seconds=round(perf_counter() - indexed, 3),
            carried=table.carried,
            staging_oid=await staging.oid(writer, table),
            newest_xid=filled.newest_xid,
        )
        await ledger.record(writer, run_id, load)
    return load


async def _build(writer: Target, table: Table, options: TableOptions, built: Built) -> None:
    """Makes indexes, constraints and comments, the source's and those that the reporting side added."""
    skips = options.unbuildable_indexes == "skip"
    left = table.without(built.skipped)
    skipped = built.skipped | await staging.build_indexes(writer, left, built.names, skips=skips)
    for name, reason in skipped.items():
        log.warning("index.skipped", table=str(table), index=name, error=reason)
    await staging.comment(writer, table.without(skipped))
    known = {*table.carried, *await ledger.carried(writer, table.live)}
    with_indexes = options.indexes not in {"source", "none"}
    schema = staging.staging_name(table).schema
    await staging.add(writer, await live.extras(writer, table.live, schema, known, with_indexes=with_indexes))
