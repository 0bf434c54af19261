"""The ledger: ``etl.runs`` and ``etl.loads`` in the target, the record of what every night did.

Written with SQLAlchemy Core, compiled for psycopg and executed on the session that does the work, so that a
row commits with the work that it records. Columns may be added here, never renamed: users' queries hang on
them. A column that an older version did not have is added on first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.ddl import ExecutableDDLElement

from etl.postgres import SCHEMA_LOCK, Target
from etl.selection import Relation

SCHEMA = "etl"

UNPUBLISHED = ("loading", "staged")
"""The statuses of a load that is under way; the others are published and failed."""

_metadata = sa.MetaData(schema=SCHEMA)

_timestamp = sa.DateTime(timezone=True)

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
    sa.Column("newest_xid", sa.BigInteger),
)

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Load:
    """One table's journey within a run, as the ledger and the log have it.

    ``carried`` names the indexes and constraints that came from the source, so that the next load can tell them
    from those that the reporting side added; ``staging_oid`` tells the staging table that was filled from any that
    has taken its place since; ``newest_xid`` is the newest transaction that wrote rows, where they are not frozen.
    ``rows``, ``bytes`` (on the wire) and the seconds of each step are None where the load
    did not get there.
    """

    table_name: str
    schema_name: str
    relation_name: str
    status: str
    started_at: datetime
    finished_at: datetime
    rows: int | None = None
    bytes: int | None = None
    copy_seconds: float | None = None
    index_seconds: float | None = None
    analyze_seconds: float | None = None
    carried: tuple[str, ...] = ()
    error: str | None = None
    staging_oid: int | None = None
    newest_xid: int | None = None

    @classmethod
    def failed(cls, table_name: str, live: Relation, started_at: datetime, error: str) -> Load:
        """Gives a load that failed just now."""
        return cls(table_name, live.schema, live.name, "failed", started_at, _now(), error=error)

    @property
    def seconds(self) -> float:
        """Wall time of the load, start to finish."""
        return (self.finished_at - self.started_at).total_seconds()


async def prepare(target: Target) -> None:
    """Makes the ledger on first use, and adds the columns that an older version did not have."""
    missing = await _missing(target)
    if not missing:
        return
    async with target.transaction():
        await target.execute(SCHEMA_LOCK)
        await target.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        for table in (runs, loads):
            await _execute(target, CreateTable(table, if_not_exists=True))
        for column in await _missing(target):
            kind = column.type.compile(dialect=_dialect)
            add = f"ALTER TABLE {column.table.fullname} ADD COLUMN IF NOT EXISTS {column.name} {kind}"
            await target.execute(add.encode())


async def _missing(target: Target) -> list[sa.Column[Any]]:
    cursor = await target.execute(
        "SELECT c.relname::text AS table, a.attname::text AS column FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND a.attnum > 0 AND NOT a.attisdropped",
        [SCHEMA],
    )
    there = {(row["table"], row["column"]) for row in await cursor.fetchall()}
    return [column for table in (runs, loads) for column in table.columns if (table.name, column.name) not in there]


async def exists(target: Target) -> bool:
    """Tells whether the target has a ledger."""
    cursor = await target.execute("SELECT to_regclass(%s) IS NOT NULL AS there", [runs.fullname])
    row = await cursor.fetchone()
    return row is not None and bool(row["there"])


def live_of(load: Mapping[str, Any]) -> Relation:
    """Gives the live table of a load's row."""
    return Relation(load["schema_name"], load["relation_name"])


async def run_of(target: Target, run_id: str) -> dict[str, Any] | None:
    """Gives a run's row, or None."""
    rows = await _fetch(target, sa.select(runs).where(runs.c.run_id == run_id))
    return rows[0] if rows else None


async def loads_of(target: Target, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Gives the loads of the runs given, in the order in which they started."""
    statement = sa.select(loads).where(loads.c.run_id.in_(run_ids)).order_by(loads.c.started_at, loads.c.table_name)
    return await _fetch(target, statement)


async def latest_runs(target: Target, limit: int) -> list[dict[str, Any]]:
    """Gives the newest runs, newest first."""
    return await _fetch(target, sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id).limit(limit))


async def open_run(target: Target, run_id: str, publish: str) -> None:
    """Writes that a run has begun, or that another of its shards, or a new try, has joined it."""
    fresh = {"status": "running", "publish": publish, "finished_at": None, "error": None}
    statement = insert(runs).values(run_id=run_id, started_at=_now(), **fresh)
    await _execute(target, statement.on_conflict_do_update(index_elements=["run_id"], set_=fresh))


async def plan(target: Target, run_id: str, tables: Mapping[Relation, Relation]) -> None:
    """Writes which tables a run, or a shard of it, is to load: until they are staged, nobody may publish the run.

    Takes the source's tables by the live ones.
    """
    names = ("run_id", "table_name", "schema_name", "relation_name", "status", "started_at")
    statement = insert(loads).values({name: sa.bindparam(name) for name in names})
    fresh = {name: statement.excluded[name] for name in (*names[4:], "error", "finished_at", "published_at")}
    text, _ = _compiled(statement.on_conflict_do_update(index_elements=["run_id", "table_name"], set_=fresh))
    rows = [(run_id, str(table), live.schema, live.name, "loading", _now()) for live, table in tables.items()]
    async with target.cursor() as cursor:
        await cursor.executemany(text, [dict(zip(names, row, strict=True)) for row in rows])


async def took_snapshot(target: Target, run_id: str, snapshot_id: str, at: datetime) -> None:
    """Writes which snapshot a run copies, and the instant that it shows."""
    await _execute(
        target, sa.update(runs).where(runs.c.run_id == run_id).values(snapshot_id=snapshot_id, snapshot_at=at)
    )


async def record(target: Target, run_id: str, load: Load) -> None:
    """Writes what became of a load, in the caller's transaction; a new try takes the place of the old one."""
    values = asdict(load) | {"carried": list(load.carried), "run_id": run_id, "published_at": None}
    await target.execute(_record(), values)


@cache
def _record() -> bytes:
    # Compiled once: it would be a third of a tiny table's CPU.
    key = ["run_id", "table_name"]
    names = [*key, *(field.name for field in fields(Load) if field.name not in key), "published_at"]
    statement = insert(loads).values({name: sa.bindparam(name) for name in names})
    changes = {name: statement.excluded[name] for name in names if name not in key}
    text, _ = _compiled(statement.on_conflict_do_update(index_elements=key, set_=changes))
    return text


async def staging_oids(target: Target, run_id: str) -> dict[Relation, int]:
    """Gives the oid of each staging table that a run has filled, by the live table's name."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.status == "staged")
    return {live_of(row): row["staging_oid"] for row in await _fetch(target, statement)}


async def newest_xids(target: Target, run_id: str) -> dict[Relation, int]:
    """Gives, by the live table's name, the newest transaction that wrote a staged table's rows, if not frozen."""
    statement = sa.select(loads).where(loads.c.run_id == run_id, loads.c.newest_xid.is_not(None))
    return {live_of(row): row["newest_xid"] for row in await _fetch(target, statement)}


async def carried(target: Target, live: Sequence[Relation]) -> dict[Relation, frozenset[str]]:
    """Gives, by live table, the names of the indexes and constraints that its last published load brought."""
    statement = (
        sa.select(loads.c.schema_name, loads.c.relation_name, loads.c.carried)
        .where(loads.c.status == "published")
        .order_by(loads.c.schema_name, loads.c.relation_name, loads.c.published_at.desc())
        .distinct(loads.c.schema_name, loads.c.relation_name)
    )
    found = {live_of(row): frozenset(row["carried"] or []) for row in await _fetch(target, statement)}
    return {one: found.get(one, frozenset()) for one in live}


def _arrive_as(live: Iterable[Relation]) -> sa.ColumnElement[bool]:
    """Gives the condition on the loads of the live tables named: they, not the source's, are what runs share."""
    names = [(relation.schema, relation.name) for relation in live]
    return sa.tuple_(loads.c.schema_name, loads.c.relation_name).in_(names)


async def published(target: Target, run_id: str, live: Iterable[Relation]) -> None:
    """Writes that staged loads are live, in the publish's own transaction."""
    await _execute(
        target,
        sa.update(loads)
        .where(loads.c.run_id == run_id, _arrive_as(live))
        .values(status="published", published_at=_now()),
    )


async def not_published(target: Target, run_id: str, error: str, live: Iterable[Relation]) -> None:
    """Writes that what a run had staged, or not yet staged, of the live tables named was given up."""
    await _execute(
        target,
        sa.update(loads)
        .where(loads.c.run_id == run_id, loads.c.status.in_(UNPUBLISHED), _arrive_as(live))
        .values(status="failed", error=error),
    )


async def supersede(target: Target, run_id: str, live: Iterable[Relation]) -> None:
    """Writes that ``run_id`` took over live tables that another run had staged and never published."""
    await _execute(
        target,
        sa.update(loads)
        .where(loads.c.run_id != run_id, loads.c.status.in_(UNPUBLISHED), _arrive_as(live))
        .values(status="failed", error=f"never published; run {run_id} took the table over"),
    )


async def close_run(target: Target, run_id: str, status: str, error: str | None = None) -> None:
    """Writes how a run ended, with the sums over its loads.

    A run that is published stays so, whatever its process saw: a connection may break after the commit.
    """
    own = loads.c.run_id == run_id
    sums: Mapping[str, Any] = {
        "tables": sa.select(sa.func.count()).select_from(loads).where(own).scalar_subquery(),
        "rows": sa.select(sa.func.sum(loads.c.rows)).where(own).scalar_subquery(),
        "bytes": sa.select(sa.func.sum(loads.c.bytes)).where(own).scalar_subquery(),
    }
    statement = sa.update(runs).where(runs.c.run_id == run_id, runs.c.status != "published")
    await _execute(target, statement.values(status=status, finished_at=_now(), error=error, **sums))


async def running(target: Target) -> list[dict[str, Any]]:
    """Gives the runs that have not ended, as far as the ledger knows; not those that wait for ``etl publish``."""
    loading = sa.exists().where(loads.c.run_id == runs.c.run_id, loads.c.status == "loading")
    unfinished = sa.or_(runs.c.publish != "defer", loading)
    return await _fetch(target, sa.select(runs).where(runs.c.status == "running", unfinished))


async def deferred(target: Target) -> list[tuple[str, str]]:
    """Gives schema and name of the tables that wait for ``etl publish``."""
    statement = (
        sa.select(loads.c.schema_name, loads.c.relation_name)
        .join(runs, runs.c.run_id == loads.c.run_id)
        .where(loads.c.status == "staged", runs.c.status == "running", runs.c.publish == "defer")
    )
    return [(row["schema_name"], row["relation_name"]) for row in await _fetch(target, statement)]


async def known(target: Target) -> set[tuple[str, str]]:
    """Gives schema and name of every live table that any run was ever to load."""
    statement = sa.select(loads.c.schema_name, loads.c.relation_name).distinct()
    return {(row["schema_name"], row["relation_name"]) for row in await _fetch(target, statement)}


async def _execute(target: Target, statement: ExecutableDDLElement | sa.Executable) -> None:
    text, parameters = _compiled(statement)
    await target.execute(text, parameters)


async def _fetch(target: Target, statement: sa.Executable) -> list[dict[str, Any]]:
    text, parameters = _compiled(statement)
    cursor = await target.execute(text, parameters)
    return await cursor.fetchall()


def _compiled(statement: Any) -> tuple[bytes, dict[str, Any] | None]:
    # literal_execute and IN lists are expanded at compile time, because no engine will do it later
    compiled = statement.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    parameters = dict(compiled.params) if getattr(compiled, "params", None) else None
    return str(compiled).encode(), parameters


def _now() -> datetime:
    return datetime.now(UTC)
