"""The other pattern: one big table, copied batch by batch in the order of an integer key, as often as somebody calls.

A batch is one transaction on the target: its rows, put in or brought up to date by their key, and the watermark in
``etl.watermarks``. So it may be done twice, and a caller that was killed goes on from the last id. What it cannot do is
what a run does: each batch is of another instant, and rows deleted in the source stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from etl.ledger import book, watermark
from etl.logs.log import get_logger
from etl.model import drift
from etl.model.catalog import MaskedColumn
from etl.model.errors import ConfigurationError, LoadFailed
from etl.model.name import Relation, TargetName
from etl.model.record import Batch
from etl.model.selection import named
from etl.model.table import Table
from etl.sessions.postgres import Source, Target, create_schemas, source_session, target_session
from etl.sessions.query import text
from etl.sessions.transaction import at_once
from etl.settings.settings import Settings
from etl.source import catalog, choice, proof, snapshot, stream
from etl.source.snapshot import Snapshot
from etl.target import disclosure, guard, indexes, live, staging, trust, types

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The types that a key may have, and their greatest values."""

_NOT_RUN = {"default", "statistics"}
"""What code of a live table does not run when a batch is put in: all columns are given, and nothing is analyzed."""

BATCH = sql.Identifier("pg_temp", "etl_batch")

log = get_logger()


async def copy_batch(settings: Settings, table: str, last_id: int | None, limit: int, key: str | None = None) -> Batch:
    """Copies the next ``limit`` rows of a table after ``last_id``, in the order of its key.

    Where ``last_id`` is None it goes on from the watermark, or begins. Takes a table's exact name, and the key where
    it is not the primary one. Raises ConfigurationError for a table or key that cannot be copied so, LoadFailed where
    the live table does not fit, TableLocked while a run loads it.
    """
    application = guard.application(settings.run_id)
    async with (
        target_session(settings.target, application) as control,
        source_session(settings.source, application) as source,
    ):
        await guard.refuse_same_database(source, control, settings.source, settings.target)
        described = await _described(settings, source, _name(table))
        column = _key(described, key)
        await guard.lock(control, settings.run_id, [described.live])
        await book.ensure(control)
        (described,) = await disclosure.refuse(control, [described], settings.options)
        await _ensure_live(source, control, described, column)
        after = await watermark.read(control, described.source) if last_id is None else last_id
        slice_ = _after(described, column, after)
        held = await snapshot.take(settings.source, application, [described.source], settings.options, source)
        async with held:
            last, rows = await _copied(held, control, slice_, column, limit)
        return Batch(after if last is None else last, rows, done=rows < limit)


def _name(table: str) -> Relation:
    try:
        return named(table)
    except ValueError as error:
        raise ConfigurationError(f"table {error}") from None


async def _described(settings: Settings, source: Source, name: Relation) -> Table:
    there = await choice.relations(source, settings.options)
    found = [one for one in there if one == name]
    if not found:
        raise ConfigurationError(f"table {name} is not in the source, or its role may not see it")
    (described,) = settings.options.apply(await catalog.tables(source, found))
    await proof.prove(source, [described])
    return described


def _key(table: Table, wanted: str | None) -> str:
    """Gives the column in whose order a table is copied: one of integers that tells its rows apart."""
    primary = [one for one in table.constraints if one.definition.startswith("PRIMARY KEY")]
    unique = [one for one in table.constraints if one.definition.startswith(("PRIMARY KEY", "UNIQUE"))]
    columns = {column.name: column for column in table.columns}
    candidates = [one.columns for one in (unique if wanted else primary)]
    name = wanted or (candidates[0][0] if candidates else "")
    if (name,) not in candidates or name not in columns or columns[name].type not in INTEGERS:
        what = f"{wanted!r} is not" if wanted else "its primary key is not"
        raise ConfigurationError(f"{table}: {what} one column of integers that tells its rows apart; name such a key")
    if isinstance(columns[name], MaskedColumn):
        raise ConfigurationError(f"{table}: {name} is masked, so its order is not the source's; name another key")
    return name


async def _ensure_live(source: Source, control: Target, table: Table, key: str) -> None:
    """Makes the live table, empty, with its indexes; where it is there, its columns have to be the source's."""
    there = await live.columns(control, table.live)
    if there:
        wanted = [(column.name, column.type) for column in table.columns]
        if sorted(there) != sorted(wanted):
            raise LoadFailed(
                f"{table}: its columns have changed: {drift.between(there, wanted)}; change the live table"
            )
        return
    await trust.refuse_named(source, control, [table])
    await types.ensure(source, control, [table])
    await create_schemas(control, [table.live.schema])
    await staging.create_schemas(control, [table.live.schema])
    async with control.transaction():
        move = sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
            table.staged.identifier, sql.Identifier(table.live.schema)
        )
        await at_once(control, [*staging.creation(table), *indexes.statements(table), *staging.comments(table), move])
        await staging.add(control, await live.default_grants(control, [table.live]))
    log.info("table.made", table=str(table), live=str(table.live), staged_as=str(table.staged), key=key)


async def _copied(held: Snapshot, control: Target, slice_: Table, key: str, limit: int) -> tuple[int | None, int]:
    """Copies one batch, read at one instant of the source, and moves the watermark with it; gives its last id.

    Takes the instant's snapshot; its holder, which has the locks, reads.
    """
    source = held.holder
    assert source is not None
    async with control.transaction():
        await _refuse_untrusted_code(control, slice_.live)
        last, found = await source.fetchrow(text(_extent(slice_, key)), limit) or (None, 0)
        if last is not None:
            await _fill(source, control, _until(slice_, key, last), found)
            await control.execute(_upsert(slice_, key))
            await watermark.move(control, slice_.source, last, (*slice_.masked, *slice_.withheld))
    log.info("table.batch", table=str(slice_), last_id=last, rows=found)
    return last, found


async def _refuse_untrusted_code(control: Target, table: TargetName) -> None:
    """Raises LoadFailed where others' code would run as etl's role; from here on, nobody can hang any on the table."""
    await control.execute(sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(table.identifier))
    if code := [one for one in await trust.untrusted_code_on(control, table) if one.kind not in _NOT_RUN]:
        raise LoadFailed("; ".join(f"{table} is copied in batches, and {one}" for one in code))


async def _fill(source: Source, control: Target, slice_: Table, found: int) -> None:
    """Streams the rows into a table of this transaction's own."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in slice_.columns)
    make = sql.SQL("CREATE TEMPORARY TABLE etl_batch ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
    await control.execute(make.format(names, slice_.live.identifier))
    streamed = await stream.copy(source, control, slice_, BATCH, lambda _: None)
    if not found == streamed.rows_out == streamed.rows_in:
        raise LoadFailed(f"{slice_}: {found} rows were to be copied, {streamed.rows_in} arrived")


def _after(table: Table, key: str, after: int | None) -> Table:
    if after is None:
        return table
    return _where(table, f"{_quoted(key)} > {after:d}")


def _until(table: Table, key: str, last: int) -> Table:
    return replace(_where(table, f"{_quoted(key)} <= {last:d}"), order_by=(_quoted(key),))


def _where(table: Table, condition: str) -> Table:
    # brackets on lines of their own: the options' condition may end in a comment
    return replace(table, where=f"({table.where}\n) AND {condition}" if table.where else condition)


def _extent(slice_: Table, key: str) -> sql.Composed:
    """Gives the SELECT of the last id of a batch and the number of its rows."""
    column = sql.Identifier(key)
    inner = slice_.select(column + sql.SQL(" AS id")) + sql.SQL(" ORDER BY {} LIMIT $1::bigint").format(column)
    return sql.SQL("SELECT pg_catalog.max(b.id), pg_catalog.count(*) FROM ({}) AS b").format(inner)


def _upsert(table: Table, key: str) -> sql.Composed:
    names: Sequence[sql.Identifier] = [sql.Identifier(column.name) for column in table.columns]
    others = [sql.Identifier(column.name) for column in table.columns if column.name != key]
    changes = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others)
    action = sql.SQL("UPDATE SET {}").format(changes) if others else sql.SQL("NOTHING")
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) DO {}").format(
        table.live.identifier,
        sql.SQL(", ").join(names),
        sql.SQL(", ").join(names),
        BATCH,
        sql.Identifier(key),
        action,
    )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
