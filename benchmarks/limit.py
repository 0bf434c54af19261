"""The time that the servers need without a client between them: SOURCE TARGET FOLDER, tables on standard input.

The source writes each table to a file. The target reads it (with FREEZE, into a table without indexes), then builds its
indexes. Each step starts with the largest tables and does two at once, because both servers together have two cores.
Prints the seconds of the steps.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

SESSIONS = 2


def main(source: str, target: str, folder: Path, names: list[str]) -> dict[str, float]:
    """Fills empty tables of the target, and builds the source's indexes there; returns each step's seconds."""
    folder.chmod(0o777)  # the servers run as another user
    with psycopg.connect(source) as connection:
        indexes = [row[0] for row in connection.execute(_INDEXES)]
        sizes: dict[str, int] = dict(connection.execute(_SIZES).fetchall())
    largest_first = sorted(names, key=lambda name: -sizes[name])
    return {
        "out": _timed(lambda name: _run(source, f"COPY {name} TO '{folder / name}' (FORMAT binary)"), largest_first),
        "in": _timed(lambda name: _load(target, name, folder / name), largest_first),
        "indexes": _timed(lambda statement: _run(target, statement), indexes),
    }


_SIZES = """
SELECT format('%I', relname), pg_table_size(oid) FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""

_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relnamespace = 'public'::regnamespace ORDER BY pg_relation_size(i.indexrelid) DESC
"""


def _load(url: str, name: str, file: Path) -> None:
    _run(url, f"TRUNCATE {name}", f"COPY {name} FROM '{file}' (FORMAT binary, FREEZE)")


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _timed(step: Callable[[str], None], each: Iterable[str]) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(step, each))
    return round(time.perf_counter() - began, 3)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.stdin.read().split())))
