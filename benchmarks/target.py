"""What decided how the target is written to: ``python -m benchmarks.target`` prints NOTES.md's figures of it.

Page ranges beside one stream, by psql; and the CPU of one backend, which work beside it changes less than its wall time.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks import data
from benchmarks.__main__ import servers
from benchmarks.peers import Servers

ROUNDS = 3

EVENTS = """
CREATE TABLE {name} AS
SELECT i AS id,
       jsonb_build_object('kind', i % 17, 'user', md5(i::text), 'tags', jsonb_build_array(md5((i * 3)::text)),
                          'payload', repeat(md5((i * 7)::text), 1 + (i % 30)::int)) AS doc
  FROM generate_series(1, {rows}::bigint) i
"""

DOCUMENTS = """
CREATE TABLE {name} AS
SELECT i AS id,
       jsonb_build_object('kind', i % 17, 'body',
                          (SELECT string_agg(md5((i * 7 + k)::text) || ' lorem ipsum dolor sit amet ', '')
                             FROM generate_series(1, 60) k)) AS doc
  FROM generate_series(1, {rows}::bigint) i
"""


def main() -> None:
    """Measure both."""
    with servers() as both:
        for table, statement, rows in (("lineitem", data.LINEITEM, 3_000_000), ("events", EVENTS, 400_000)):
            data.make(both.source, statement, table, rows)
            for number in range(ROUNDS):
                for ranges in (0, 1, 2, 4):
                    print(f"{table} {number + 1}: {_copied(both, table, ranges)}", flush=True)
        for line in _cpu(both):
            print(line, flush=True)


def _copied(both: Servers, table: str, ranges: int) -> str:
    """Copies a table in so many page ranges, and freezes it; 0 is one stream that writes frozen rows."""
    both.fresh(table)
    pages = int(both.source.psql(f"SELECT pg_relation_size('{table}') / 8192"))
    bounds = [pages * number // max(ranges, 1) for number in range(max(ranges, 1))]
    began = time.perf_counter()
    pipes = [_pipe(both, table, low, high, ranges) for low, high in zip(bounds, [*bounds[1:], 1 << 31], strict=True)]
    if any(process.wait() for pipe in pipes for process in pipe):
        raise RuntimeError(f"psql failed on {table}")
    copied = time.perf_counter()
    if ranges:
        both.target.psql(f"VACUUM (FREEZE) {table}")
    return f"{ranges} ranges: {copied - began:.2f} s + VACUUM {time.perf_counter() - copied:.2f} s"


def _pipe(both: Servers, table: str, low: int, high: int, ranges: int) -> tuple[subprocess.Popen[bytes], ...]:
    psql = both.source.bin / "psql"
    out = f"COPY (SELECT * FROM {table} WHERE ctid >= '({low},0)' AND ctid < '({high},0)') TO STDOUT (FORMAT binary)"
    into = f"COPY {table} FROM STDIN (FORMAT binary{'' if ranges else ', FREEZE'})"
    first = [] if ranges else ["-c", f"TRUNCATE {table}"]
    reader = subprocess.Popen([psql, "-Xq", both.source.url(), "-c", out], stdout=subprocess.PIPE)
    command = [psql, "-Xq", both.target.url(), "--single-transaction", *first, "-c", into]
    return reader, subprocess.Popen(command, stdin=reader.stdout)


def _cpu(both: Servers) -> Iterator[str]:
    """Tells the CPU seconds of one backend, by what it does."""
    target = both.target
    data.make(target, DOCUMENTS, "documents", 40_000)
    data.make(target, data.LINEITEM, "items", 1_000_000)
    for name in ("documents", "items"):
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
            yield f"items, {how}: {_spent(session, *_loading(target.data, 'items', how)):.2f} s"
        session.execute("SET max_parallel_maintenance_workers = 0")
        for size in ("4MB", "16MB", "64MB", "256MB"):
            session.execute(f"SET maintenance_work_mem = '{size}'".encode())
            for column in ("l_partkey", "l_comment"):
                spent = _spent(session, f"CREATE INDEX i ON items ({column})", "DROP INDEX i")
                yield f"index on {column}, {size}: {spent:.2f} s"


def _loading(folder: Path, name: str, how: str) -> list[str]:
    freeze, _, vacuum = how.partition("; ")
    make = ["DROP TABLE IF EXISTS copy", "BEGIN", f"CREATE TABLE copy (LIKE {name})"]
    return [*make, f"COPY copy FROM '{folder}/{name}' (FORMAT binary, {freeze})", "COMMIT", *([vacuum] if vacuum else [])]


def _spent(session: psycopg.Connection, *statements: str) -> float:
    before = _seconds(session.info.backend_pid)
    for statement in statements:
        session.execute(statement.encode())
    return _seconds(session.info.backend_pid) - before


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
