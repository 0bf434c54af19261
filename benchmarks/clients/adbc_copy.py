"""ADBC on both sides: it reads binary COPY into Arrow batches, and writes those by binary COPY; two tables at once."""

import os
from concurrent.futures import ThreadPoolExecutor

from adbc_driver_postgresql import StatementOptions, dbapi


def copy(name: str) -> None:
    """Copies one table into a new one that ADBC creates."""
    with dbapi.connect(os.environ["SOURCE"]) as source, dbapi.connect(os.environ["TARGET"]) as target:
        with source.cursor() as rows, target.cursor() as into:
            rows.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(16 << 20)})
            rows.execute(f"SELECT * FROM {name}")
            into.adbc_ingest(name, rows.fetch_record_batch(), mode="create")
        target.commit()


with ThreadPoolExecutor(2) as pool:
    list(pool.map(copy, os.environ["NAMES"].splitlines()))
