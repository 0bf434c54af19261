"""pg-bulk-ingest, as its manual shows it: rows from a server-side cursor, old ones deleted before the first batch."""

import os
from collections.abc import Iterator

import sqlalchemy
from pg_bulk_ingest import Delete, HighWatermark, Upsert, Visibility, ingest


def copy(source: sqlalchemy.Engine, target: sqlalchemy.Engine, name: str) -> None:
    """Copies one table, with its columns, key and indexes as SQLAlchemy reflects them."""
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(name, metadata, schema="public", autoload_with=source)
    for column in table.columns:
        column.server_default = None

    def rows() -> Iterator[tuple[sqlalchemy.Table, object]]:
        with source.connect() as connection:
            for row in connection.execution_options(yield_per=10_000).execute(sqlalchemy.select(table)):
                yield table, row

    def batches(_watermark: object) -> Iterator[tuple[None, None, object]]:
        yield None, None, rows()

    with target.connect() as connection:
        ingest(
            connection,
            metadata,
            batches,
            visibility=Visibility.AFTER_EACH_BATCH,
            upsert=Upsert.OFF,
            delete=Delete.BEFORE_FIRST_BATCH,
            high_watermark=HighWatermark.EARLIEST,
        )


def engine(url: str) -> sqlalchemy.Engine:
    """An engine for a database, with psycopg as the driver."""
    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


if __name__ == "__main__":
    databases = engine(os.environ["SOURCE"]), engine(os.environ["TARGET"])
    for one in os.environ["NAMES"].splitlines():
        copy(*databases, one)
