"""Copies one big table in batches, in the order of an integer key. Each call copies one batch, outside of any run.

A batch is one transaction on the target. Its rows replace the live rows of its range, which are those after the id
where it begins, up to its own last id; and it moves the watermark in ``etl.watermarks``. The rows are merged by their
key (``target/merge``), so a batch may be copied twice, and a caller that was killed continues after the last id.
Batches do not keep the promise of a run: each shows another instant of the source, and the target does not hear of what
changes behind the watermark.
"""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from etl.ledger import book, watermark
from etl.logs.log import get_logger
from etl.model import drift
from etl.model.catalog import MaskedColumn
from etl.model.errors import ConfigurationError, LoadFailed
from etl.model.name import Planned, Relation, TargetName
from etl.model.record import Batch
from etl.model.redaction import Redacted
from etl.model.selection import named
from etl.model.table import Table
from etl.sessions.postgres import Source, Target, create_schemas, source_session, target_session
from etl.sessions.query import text
from etl.sessions.transaction import at_once
from etl.settings.settings import Settings
from etl.source import catalog, choice, proof, snapshot, stream
from etl.source.snapshot import Snapshot
from etl.target import claims, dating, disclosure, guard, indexes, live, mergeable, merging, staging, trust, types
from etl.target.merge import Merge

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The types that a key may have, and the greatest value of each."""

_NOT_RUN = {"default", "statistics"}
"""Kinds of code that inserting a batch does not execute: a batch has a value for every column, and runs no ANALYZE."""

BATCH = sql.Identifier("pg_temp", "etl_batch")

log = get_logger()


async def copy_batch(
    settings: Settings, table: str, last_id: int | None, limit: int, key: str | None = None, *, lag: int = 0
) -> Batch:
    """Copies the next ``limit`` rows of a table after ``last_id``, in the order of its key.

    If ``last_id`` is None, copies the rows after the watermark, or the first rows if the table has no watermark yet;
    with a ``lag``, begins so many ids before the watermark, because rows may have been committed late.
    ``table`` is the exact name of a table; ``key`` is a column, by default the primary key. Raises ConfigurationError
    for a table or key that cannot be copied in batches, LoadFailed if the live table has other columns, TableLocked
    while a run loads the table.
    """
    if lag >= limit:  # the batch might end before the watermark, and the next one would begin even earlier
        raise ConfigurationError(
            f"{table}: lag is {lag}, limit {limit}; a batch has to reach the watermark: raise limit"
        )
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
        await claims.refuse(control, [described.live], settings.job)
        (described,) = await disclosure.refuse(control, [described], settings.options, settings.job)
        reached = await watermark.read(control, Planned(described.source, described.live))
        await _ensure_live(source, control, described, column)
        after = last_id if last_id is not None else _begin(reached, lag)
        held = await snapshot.take(settings.source, application, [described.source], settings.options, source)
        async with held:
            said = settings.options.of(described.source).note
            note, dates = settings.redact(said) if said else None, settings.comment_as_of == "on"
            last, rows = await _copied(
                held, control, described, column, after=after, limit=limit, note=note, dates=dates
            )
        return Batch(after if last is None else last, rows, done=rows < limit)


def _begin(reached: int | None, lag: int) -> int | None:
    return None if reached is None else max(reached - lag, -(2**63))


def _name(table: str) -> Relation:
    try:
        return named(table)
    except ValueError as error:
        raise ConfigurationError(f"table {error}") from None


async def _described(settings: Settings, source: Source, name: Relation) -> Table:
    matching = [relation for relation in await choice.relations(source, settings.options) if relation == name]
    if not matching:
        raise ConfigurationError(f"table {name} is not in the source, or its role may not see it")
    (described,) = settings.options.apply(await catalog.tables(source, matching))
    await proof.prove(source, [described])
    return described


def _key(table: Table, wanted: str | None) -> str:
    """The column in whose order a table is copied: an integer column that alone is a primary key or unique."""
    kinds = ("PRIMARY KEY", "UNIQUE") if wanted else ("PRIMARY KEY",)
    columns = {column.name: column for column in table.columns}
    candidates = [constraint.columns for constraint in table.constraints if constraint.definition.startswith(kinds)]
    name = wanted or (candidates[0][0] if candidates else "")
    if (name,) not in candidates or name not in columns or columns[name].type not in INTEGERS:
        what = f"{wanted!r} is not" if wanted else "its primary key is not"
        raise ConfigurationError(f"{table}: {what} one column of integers that tells its rows apart; name such a key")
    if isinstance(columns[name], MaskedColumn):
        raise ConfigurationError(f"{table}: {name} is masked, so its order is not the source's; name another key")
    return name


async def _ensure_live(source: Source, control: Target, table: Table, key: str) -> None:
    """Makes the live table, empty, with its indexes; if it exists already, raises LoadFailed for other columns."""
    existing = await live.columns(control, table.live)
    if existing:
        wanted = [(column.name, column.type) for column in table.columns]
        if sorted(existing) != sorted(wanted):
            raise LoadFailed(
                f"{table}: its columns have changed: {drift.between(existing, wanted)}; change the live table"
            )
        return
    await trust.refuse_named(source, control, [table])
    if refused := types.of_columns(table, await types.ensure(source, control, [table])):
        raise LoadFailed("; ".join(refused))
    await create_schemas(control, [table.live.schema])
    await staging.create_schemas(control, [table.live.schema])
    async with control.transaction():
        move = sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(
            table.staged.identifier, sql.Identifier(table.live.schema)
        )
        await at_once(control, [*staging.creation(table), *indexes.statements(table), *staging.comments(table), move])
        await staging.add(control, await live.default_grants(control, [table.live]))
    log.info("table.made", table=str(table), live=str(table.live), staged_as=str(table.staged), key=key)


async def _copied(
    held: Snapshot,
    control: Target,
    table: Table,
    column: str,
    *,
    after: int | None,
    limit: int,
    note: Redacted | None,
    dates: bool,
) -> tuple[int | None, int]:
    """Copies one batch and moves the watermark, in one transaction; returns the batch's last id and number of rows.

    The session that holds the snapshot reads the rows, because it has the locks, too.
    """
    source = held.holder
    assert source is not None
    slice_ = _after(table, column, after)
    async with control.transaction():
        await _lock(control, table.live)
        last, rows = await source.fetchrow(text(_extent(slice_, column)), limit) or (None, 0)
        if last is not None:
            part = await _part(control, table, column, _range(column, after, last))
            await _fill(source, control, _until(slice_, column, last), rows)
            await _merge(control, table, part)
            moved = Planned(table.source, table.live)
            masked = (*table.masked, *table.withheld)
            await watermark.move(control, moved, last, masked, rows=rows, as_of=held.at, note=note)
            await dating.stay(control, await live.objects(control, [table.live]), held.at if dates else None)
    log.info("table.batch", table=str(table), last_id=last, rows=rows)
    return last, rows


async def _lock(control: Target, table: TargetName) -> None:
    """Locks the live table against everything but reading, so that nothing that was examined changes.

    Raises LoadFailed if inserting would execute untrusted code as etl's role.
    """
    await control.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(table.identifier))
    untrusted = await trust.untrusted_code_on(control, table)
    if executed := [code for code in untrusted if code.kind not in _NOT_RUN]:
        raise LoadFailed("; ".join(f"{table} is copied in batches, and {code}" for code in executed))


async def _part(control: Target, table: Table, key: str, within: sql.Composable) -> Merge:
    """The merge of a batch: its rows replace the live rows ``within`` its range.

    The batch has all rows that the source has in that range, so a live row that it lacks is gone in the source.
    """
    (into,) = await mergeable.read(control, [table.live], key=key)
    if into.keys.key is None:
        raise LoadFailed(
            f"{table.live} is copied in batches, and has no primary key or unique constraint on {key} alone; add one"
        )
    if into.unwritable:
        raise LoadFailed(
            f"{table.live} is copied in batches by {key}, and {', '.join(into.unwritable)}, which is GENERATED ALWAYS"
            " AS IDENTITY, can not change; ALTER COLUMN with SET GENERATED BY DEFAULT"
        )
    return Merge.part(into, BATCH, [column.name for column in table.columns], within)


async def _merge(control: Target, table: Table, part: Merge) -> None:
    await control.execute(b"SET LOCAL row_security = off")  # fail rather than merge a part of the rows
    if not await merging.find(control, part):
        return
    if collision := await merging.execute(control, [part]):
        name = collision.diag.constraint_name
        raise LoadFailed(
            f"{table}: a row of this batch cannot arrive, because another row has its value and {name} keeps them"
            " apart; if the source has deleted or changed the other row since that was copied, copy again from a"
            f" smaller last_id, with a limit that reaches both rows, or let a run copy the table; otherwise drop {name}"
        ) from collision


async def _fill(source: Source, control: Target, slice_: Table, rows: int) -> None:
    """Streams the rows into a temporary table, which exists until the transaction ends."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in slice_.columns)
    make = sql.SQL("CREATE TEMPORARY TABLE etl_batch ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
    await control.execute(make.format(names, slice_.live.identifier))
    streamed = await stream.copy(source, control, slice_, BATCH, lambda _: None)
    if not rows == streamed.rows_out == streamed.rows_in:
        raise LoadFailed(
            f"{slice_}: {rows} rows were to be copied, {streamed.rows_in} arrived; report it, unless a trigger or a"
            " rule of the table drops rows"
        )


def _after(table: Table, key: str, after: int | None) -> Table:
    if after is None:
        return table
    return _where(table, f"{_quoted(key)} > {after:d}")


def _range(key: str, after: int | None, last: int) -> sql.Composed:
    """The condition on live rows that their keys are in a batch's range."""
    column = sql.Identifier(key)
    until = sql.SQL("{} <= {}").format(column, sql.Literal(last))
    return until if after is None else sql.SQL("{} > {} AND {}").format(column, sql.Literal(after), until)


def _until(table: Table, key: str, last: int) -> Table:
    return replace(_where(table, f"{_quoted(key)} <= {last:d}"), order_by=(_quoted(key),))


def _where(table: Table, condition: str) -> Table:
    # the closing bracket stands on a new line, because the options' condition may end in a comment
    return replace(table, where=f"({table.where}\n) AND {condition}" if table.where else condition)


def _extent(slice_: Table, key: str) -> sql.Composed:
    """The SELECT of a batch's last id and number of rows."""
    column = sql.Identifier(key)
    inner = slice_.select(column + sql.SQL(" AS id")) + sql.SQL(" ORDER BY {} LIMIT $1::bigint").format(column)
    return sql.SQL("SELECT pg_catalog.max(b.id), pg_catalog.count(*) FROM ({}) AS b").format(inner)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
