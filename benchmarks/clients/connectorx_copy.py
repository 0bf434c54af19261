"""connectorx reads Arrow by binary COPY, pyarrow writes CSV, psycopg sends it to COPY; two tables at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import connectorx
import psycopg
from pyarrow import csv


def copy(name: str) -> None:
    """Copies one table in the transaction that has truncated it, because FREEZE requires this."""
    batches = connectorx.read_sql(
        os.environ["SOURCE"],
        f"SELECT * FROM {name}",
        return_type="arrow_stream",
        protocol="binary",
        batch_size=65536,
    )
    options = csv.WriteOptions(include_header=False)
    with psycopg.connect(os.environ["TARGET"]) as target:
        target.execute(f"TRUNCATE {name}")
        with target.cursor().copy(f"COPY {name} FROM STDIN (FORMAT csv, FREEZE)") as into:
            for batch in batches:
                csv.write_csv(batch, _Sink(into), options)


class _Sink:
    """A file object for pyarrow that passes on all bytes that pyarrow writes."""

    closed = False

    def __init__(self, into: psycopg.Copy) -> None:
        self.into = into

    def write(self, data: bytes) -> int:
        self.into.write(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        """Does nothing, because no bytes are buffered."""

    def close(self) -> None:
        """Does nothing, because the caller ends the COPY."""


with ThreadPoolExecutor(2) as pool:
    list(pool.map(copy, os.environ["NAMES"].splitlines()))
