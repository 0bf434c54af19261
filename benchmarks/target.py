"""Measurements behind the design of the target's writes: ``python -m benchmarks.target`` prints them for NOTES.md.

It compares page ranges with one stream, by psql, and measures the CPU time of one backend, which other load on the
machine changes less than wall time.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.data import LINEITEM
from benchmarks.rounds import SETTINGS
from servers.postgres import Server

ROUNDS = 3

EVENTS = """
CREATE TABLE events AS
SELECT i AS id,
       jsonb_build_object('kind', i % 17, 'user', md5(i::text), 'tags', jsonb_build_array(md5((i * 3)::text)),
                          'payload', repeat(md5((i * 7)::text), 1 + (i % 30)::int)) AS doc
  FROM generate_series(1, {rows}::bigint) i
"""

DOCUMENTS = """
CREATE TABLE documents AS
SELECT i AS id,
       jsonb_build_object('kind', i % 17, 'body',
                          (SELECT string_agg(md5((i * 7 + k)::text) || ' lorem ipsum dolor sit amet ', '')
                             FROM generate_series(1, 60) k)) AS doc
  FROM generate_series(1, {rows}::bigint) i
"""


def main() -> None:
    """Measure both."""
    with ExitStack() as stack:
        source, target = (_server(stack) for _ in range(2))
        for table, statements, rows in (("lineitem", LINEITEM, 3_000_000), ("events", EVENTS, 400_000)):
            _make(source, table, statements, rows)
            for number in range(ROUNDS):
                for ranges in (0, 1, 2, 4):
                    print(f"{table} {number + 1}: {_copied(source, target, table, ranges)}", flush=True)
        for line in _cpu(target):
            print(line, flush=True)


def _server(stack: ExitStack) -> Server:
    server = Server.start(settings=SETTINGS)
    stack.callback(server.remove)
    return server


def _make(server: Server, table: str, statements: str, rows: int) -> None:
    server.psql(f"DROP TABLE IF EXISTS {table}")
    server.psql(statements.format(rows=rows))
    server.psql(f"VACUUM (FREEZE, ANALYZE) {table}")


def _copied(source: Server, target: Server, table: str, ranges: int) -> str:
    """Copies a table in this many page ranges, and freezes it. 0 means one stream that writes frozen rows."""
    columns = source.psql(
        "SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)"
        f" FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"
    )
    target.psql(f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})")
    target.psql("CHECKPOINT")
    pages = int(source.psql(f"SELECT pg_relation_size('{table}') / 8192"))
    bounds = [pages * number // max(ranges, 1) for number in range(max(ranges, 1))]
    began = time.perf_counter()
    pipes = [_pipe(source, target, table, pair, ranges) for pair in pairwise([*bounds, 1 << 31])]
    if any(process.wait() for pipe in pipes for process in pipe):
        raise RuntimeError(f"psql failed on {table}")
    copied = time.perf_counter()
    if ranges:
        target.psql(f"VACUUM (FREEZE) {table}")
    return f"{ranges} ranges: {copied - began:.2f} s + VACUUM {time.perf_counter() - copied:.2f} s"


def _pipe(
    source: Server, target: Server, table: str, pages: tuple[int, int], ranges: int
) -> tuple[subprocess.Popen[bytes], ...]:
    psql = source.bin / "psql"
    here = f"ctid >= '({pages[0]},0)' AND ctid < '({pages[1]},0)'"
    out = f"COPY (SELECT * FROM {table} WHERE {here}) TO STDOUT (FORMAT binary)"
    into = f"COPY {table} FROM STDIN (FORMAT binary{'' if ranges else ', FREEZE'})"
    first = [] if ranges else ["-c", f"TRUNCATE {table}"]
    reader = subprocess.Popen([psql, "-Xq", source.url(), "-c", out], stdout=subprocess.PIPE)
    command: list[str | Path] = [psql, "-Xq", target.url(), "--single-transaction", *first, "-c", into]
    return reader, subprocess.Popen(command, stdin=reader.stdout)


def _cpu(target: Server) -> Iterator[str]:
    """Prints the CPU seconds of one backend for each kind of work."""
    _make(target, "documents", DOCUMENTS, 40_000)
    _make(target, "lineitem", LINEITEM, 1_000_000)
    for name in ("documents", "lineitem"):
        target.psql(f"COPY {name} TO '{target.data}/{name}' (FORMAT binary)")
    with psycopg.connect(target.url(), autocommit=True) as session:
        for setting in ("default_toast_compression = pglz", "default_toast_compression = lz4"):
            try:
                session.execute(f"SET {setting}".encode())
            except psycopg.errors.InvalidParameterValue:
                yield f"{setting}: not in this build"
                continue
            yield f"documents, {setting}: {_spent(session, *_loading(target.data, 'documents', 'FREEZE')):.2f} s"
        for how in ("FREEZE", "FREEZE false", "FREEZE false; VACUUM (FREEZE) copy"):
            yield f"lineitem, {how}: {_spent(session, *_loading(target.data, 'lineitem', how)):.2f} s"
        session.execute("SET max_parallel_maintenance_workers = 0")
        for size in ("4MB", "16MB", "64MB", "256MB"):
            session.execute(f"SET maintenance_work_mem = '{size}'".encode())
            for column in ("l_partkey", "l_comment"):
                spent = _spent(session, f"CREATE INDEX i ON lineitem ({column})", "DROP INDEX i")
                yield f"index on {column}, {size}: {spent:.2f} s"


def _loading(folder: Path, name: str, how: str) -> list[str]:
    freeze, _, vacuum = how.partition("; ")
    make = ["DROP TABLE IF EXISTS copy", "BEGIN", f"CREATE TABLE copy (LIKE {name})"]
    return [
        *make,
        f"COPY copy FROM '{folder}/{name}' (FORMAT binary, {freeze})",
        "COMMIT",
        *([vacuum] if vacuum else []),
    ]


def _spent(session: psycopg.Connection[Any], *statements: str) -> float:
    before = _seconds(session.info.backend_pid)
    for statement in statements:
        session.execute(statement.encode())
    return _seconds(session.info.backend_pid) - before


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
