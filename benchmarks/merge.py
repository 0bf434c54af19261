"""``python -m benchmarks.merge [ROWS]``: how long a merge takes, if no row, one in a hundred, or each row has changed.

It prints the seconds, and those of the server's processor alone, in which other work on the machine does not count.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from time import perf_counter

import psycopg
from psycopg import sql

from etl.model.name import TargetName
from etl.publish import replacement
from etl.publish.policy import Policy
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from servers.postgres import FAST, Server

_COLUMNS = "(id int PRIMARY KEY, a text, b text, c numeric, d timestamptz)"

_MAKE = f"""
DROP SCHEMA IF EXISTS live, etl_staging_live CASCADE; CREATE SCHEMA live; CREATE SCHEMA etl_staging_live;
CREATE TABLE live.items {_COLUMNS}; CREATE TABLE etl_staging_live.items {_COLUMNS};
INSERT INTO live.items SELECT n, md5(n::text), 'note ' || n, n * 1.1, now() FROM generate_series(1, {{rows}}) n;
INSERT INTO etl_staging_live.items SELECT id, CASE WHEN id % 100 < {{percent}} THEN 'x' ELSE a END, b, c, d
  FROM live.items; ANALYZE live.items; ANALYZE etl_staging_live.items
"""


async def merge(url: str) -> tuple[float, float]:
    """Merges the staged rows into the live ones; the seconds in all, and those of the server's processor."""
    target = await connect_target(DatabaseUrl.parse(url), "benchmark")
    tables = [TargetName("live", "items")]
    try:
        cursor = await target.execute("SELECT pg_catalog.pg_backend_pid() AS pid")
        pid = ((await cursor.fetchone()) or {})["pid"]
        began, used = perf_counter(), processor(pid)
        async with target.transaction():
            await replacement.lock(target, tables)
            await replacement.replace(target, tables, Policy(in_place=frozenset(tables)))
        return perf_counter() - began, processor(pid) - used
    finally:
        await target.close()


def processor(pid: int) -> float:
    """The seconds of the processor that a process has used (manual page proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(rows: int) -> None:
    """Measures the three nights on a server of its own."""
    server = Server.start(settings=FAST)
    try:
        for percent in (0, 1, 100):
            with psycopg.connect(server.url(), autocommit=True) as session:
                session.execute(sql.SQL(_MAKE).format(rows=sql.Literal(rows), percent=sql.Literal(percent)))
            seconds, used = asyncio.run(merge(server.url()))
            print(f"{rows} rows, {percent} % changed: {seconds:.1f} s, of the processor {used:.1f} s")
    finally:
        server.remove()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
