"""dlt: sql_database through connectorx as a stream of Arrow, into PostgreSQL by COPY of CSV; two workers a step.

Left to itself, its PostgreSQL destination writes INSERT statements, which is slower.
"""

import os

work = os.environ["WORK"]
os.environ |= {
    "DLT_DATA_DIR": work,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": "2",
    "NORMALIZE__WORKERS": "2",
    "LOAD__WORKERS": "2",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}

import dlt  # noqa: E402 -- dlt reads the variables when it is imported
from dlt.destinations import postgres  # noqa: E402
from dlt.sources.sql_database import sql_database  # noqa: E402


def tables() -> dlt.sources.DltSource:
    """The tables of the source, as streams of Arrow."""
    return sql_database(
        os.environ["SOURCE"],
        schema="public",
        table_names=os.environ["NAMES"].splitlines(),
        backend="connectorx",
        chunk_size=100_000,
        reflection_level="full_with_precision",
        backend_kwargs={"return_type": "arrow_stream", "protocol": "binary", "batch_size": 100_000},
    )


def into_target() -> dlt.Pipeline:
    """The pipeline to the target's schema ``public``."""
    target = os.environ["TARGET"].replace("postgres@", "postgres:unused@")  # dlt requires a password
    return dlt.pipeline("bench", destination=postgres(target), dataset_name="public", pipelines_dir=work)


if __name__ == "__main__":  # the workers import this file
    info = into_target().run(tables().parallelize(), write_disposition="replace", loader_file_format="csv")
    info.raise_on_failed_jobs()
