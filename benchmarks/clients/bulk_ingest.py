"""pg-bulk-ingest, as its manual shows it: rows from a server-side cursor, all old ones deleted before the first batch."""

import os

import sqlalchemy
from pg_bulk_ingest import Delete, HighWatermark, Upsert, Visibility, ingest


def copy(source: sqlalchemy.Engine, target: sqlalchemy.Engine, name: str) -> None:
    """Copies one table, with its columns, key and indexes as SQLAlchemy reflects them."""
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(name, metadata, autoload_with=source)
    for column in table.columns:
        column.server_default = None

    def rows():
        with source.connect() as connection:
            for row in connection.execution_options(yield_per=10_000).execute(sqlalchemy.select(table)):
                yield table, row

    def batches(_watermark):
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


engines = [
    sqlalchemy.create_engine(os.environ[side].replace("postgresql://", "postgresql+psycopg://"))
    for side in ("SOURCE", "TARGET")
]
for one in os.environ["NAMES"].splitlines():
    copy(*engines, one)
