"""Plain psycopg, as its manual shows it under "Copying block-by-block": SOURCE TARGET TABLE."""

from __future__ import annotations

import sys

import psycopg


def main(source_url: str, target_url: str, table: str) -> None:
    """Copies one table."""
    with psycopg.connect(source_url) as source, psycopg.connect(target_url) as target:
        target.execute(f"TRUNCATE {table}".encode())
        with (
            source.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as rows,
            target.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary, FREEZE)".encode()) as into,
        ):
            for block in rows:
                into.write(block)


if __name__ == "__main__":
    main(*sys.argv[1:])
