"""The ledger's tables, and the statements that create them and add what an older version did not have.

This is the only module that uses SQLAlchemy. It is imported only if a part of the ledger is missing (``book.ensure``).
Columns may be added here and in ``parts``, but never renamed, because users' queries name them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.ddl import ExecutableDDLElement

from etl.ledger.parts import SCHEMA, Part

_metadata = sa.MetaData(schema=SCHEMA)

_timestamp = sa.DateTime(timezone=True)

_room = {"fillfactor": 70}
"""Free space for new versions of a row on the same page, so that updates do not depend on autovacuum.

With the default fillfactor, the size of the tables depended on autovacuum, and grew to twice as many bytes per row
(benchmarks/NOTES.md, "The ledger").
"""

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
    sa.Column("kept_until", _timestamp),
    sa.Column("passed_by", sa.Text),
    sa.Column("passed_reason", sa.Text),
    sa.Column("passed_error", sa.Text),
    sa.Column("publish_way", sa.Text),  # NULL: not decided yet, or an older version wrote the row
    sa.Column("job", sa.Text),  # NULL: of no job, or an older version wrote the row
    postgresql_with=_room,
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
    sa.Column("live_oid", sa.BigInteger),
    sa.Column("newest_xid", sa.BigInteger),
    sa.Column("snapshot_id", sa.Text),
    sa.Column("masked", postgresql.ARRAY(sa.Text)),  # NULL: unknown, because an older version wrote the row
    sa.Column("given_up", sa.Boolean),  # true: stopped because its run had ended; the run's error is the cause
    sa.Column("where_digest", sa.Text),  # NULL: unknown, because an older version wrote the row
    sa.Column("shrink_at_most", sa.Text),  # NULL, like rows_min: unknown, because an older version wrote the row
    sa.Column("rows_min", sa.BigInteger),
    sa.Column("load", sa.Text),  # NULL: full, because an older version wrote the row
    sa.Column("delta_oid", sa.BigInteger),  # instead of staging_oid, by which older versions find what they may publish
    sa.Column("reason", sa.Text),
    sa.Column("base", postgresql.JSONB),  # what a later load may be a delta of: model/base.py
    sa.Column("base_run", sa.Text),  # the run of whose rows this load has the changes
    sa.Column("live_state", postgresql.JSONB),  # the live table as the publish left it
    sa.Column("rows_deleted", sa.BigInteger),  # NULL: not known, because all rows were copied
    sa.Column("deleted_at_most", sa.Text),  # NULL: unknown, because an older version wrote the row
    sa.Column("rows_changed", sa.BigInteger),  # NULL, like rows_deleted, because all rows were copied
    sa.Column("merge_seconds", sa.Double),  # NULL: no rows were merged
    sa.Column("views", postgresql.JSONB),  # what the publish has done with materialized views: publish/upkeep.py
    sa.Column("shape", sa.Text),  # NULL: unknown, because an older version wrote the row
    sa.Column("note", sa.Text),
    sa.Column("retired_at", _timestamp),  # of the last published load of a live table that `etl retire` has marked
    sa.Column("step", sa.Text),  # these five while the load goes on: loads/progress.py
    sa.Column("rows_so_far", sa.BigInteger),
    sa.Column("bytes_so_far", sa.BigInteger),
    sa.Column("bytes_expected", sa.BigInteger),
    sa.Column("told_at", _timestamp),
    sa.Column("verify_seconds", sa.Double),  # NULL: no hashes were compared, or an older version wrote the row
    sa.Column("drift", sa.Text),  # NULL: the columns were those of the live table, or an older version wrote the row
    sa.Index("loads_by_table", "table_name", "published_at"),  # for recent_loads.sql
    sa.Index("loads_by_live", "schema_name", "relation_name", "published_at"),  # for freshness.sql, like the next one
    sa.Index("loads_by_oid", "live_oid", "published_at"),
    postgresql_with=_room,
)

watermarks = sa.Table(
    "watermarks",
    _metadata,
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("last_id", sa.BigInteger),
    sa.Column("updated_at", _timestamp, nullable=False),
    sa.Column("masked", postgresql.ARRAY(sa.Text)),
    sa.Column("schema_name", sa.Text),  # NULL, like all that follow: unknown, because an older version wrote the row
    sa.Column("relation_name", sa.Text),
    sa.Column("live_oid", sa.BigInteger),
    sa.Column("as_of", _timestamp),
    sa.Column("rows", sa.BigInteger),
    sa.Column("note", sa.Text),
    sa.Column("retired_at", _timestamp),
)

validations = sa.Table(
    "validations",
    _metadata,
    sa.Column("schema_name", sa.Text, primary_key=True),
    sa.Column("relation_name", sa.Text, primary_key=True),
    sa.Column("constraint_name", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text),
    sa.Column("live_oid", sa.BigInteger),
    sa.Column("added_at", _timestamp),
    sa.Column("error", sa.Text),
)

TABLES = (runs, loads, watermarks, validations)

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def creation() -> Iterator[bytes]:
    """The statements that create the schema and its tables, where they are not there."""
    yield f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode()
    for table in TABLES:
        yield _text(CreateTable(table, if_not_exists=True))


def addition(missing: Collection[Part]) -> Iterator[bytes]:
    """The statements that add the missing columns and indexes to tables that are there."""
    for table in TABLES:
        for column in table.columns:
            if (table.name, column.name) in missing:
                kind = column.type.compile(dialect=_dialect)
                yield f"ALTER TABLE {table.fullname} ADD COLUMN IF NOT EXISTS {column.name} {kind}".encode()
    for table in TABLES:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if (table.name, index.name) in missing:
                yield _text(CreateIndex(index, if_not_exists=True))


def _text(statement: ExecutableDDLElement) -> bytes:
    return str(statement.compile(dialect=_dialect)).encode()
