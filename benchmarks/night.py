"""``python -m benchmarks.night [ROWS]``: a night's seconds and WAL, by how much has changed, beside a full night's.

The table has a primary key and two indexes. *1 %* is as applications change rows: most of the changed rows are recent
or new, some are old ones at random, and one in a thousand is deleted. Each night is an ``etl run`` with its start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter

from servers.postgres import Server

_SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "autovacuum": "off"}

_MAKE = """
CREATE TABLE items AS
SELECT n::bigint AS id, n * 7 % 100000 AS part, md5(n::text) AS note, md5((n * 3)::text) || md5((n * 5)::text) AS more,
       now() - n * interval '1 second' AS at, (n % 1000)::numeric(12, 2) AS price
  FROM generate_series(1, {rows}) n;
ALTER TABLE items ADD PRIMARY KEY (id); CREATE INDEX ON items (part); CREATE INDEX ON items (at); VACUUM ANALYZE items
"""

_NIGHTS = {
    "full": ("full", ""),
    "first with load = auto": ("auto", ""),
    "nothing changed": ("auto", ""),
    "1 % changed": (
        "auto",
        "UPDATE items SET note = 'new' WHERE id > {rows} * 0.995; UPDATE items SET note = 'old' WHERE id % 2000 = 0;"
        "INSERT INTO items SELECT n, 1, 'n', 'm', now(), 1 FROM generate_series({rows} + 1, {rows} * 1.005) n;"
        "DELETE FROM items WHERE id % 1000 = 1",
    ),
    "10 % changed at random": ("auto", "UPDATE items SET note = 'changed' WHERE id % 10 = 3"),
}


@dataclass(frozen=True, slots=True)
class Took:
    """What a night took: seconds in all, those of the publish, and the WAL of the target in MB."""

    load: str
    seconds: float
    publish: float
    wal: float


def night(source: Server, target: Server, load: str) -> Took:
    """One run of the table."""
    variables = {"ETL_OPERATIONAL_URL": source.url(), "ETL_REPORTING_URL": target.url(), "TABLES": "items"}
    target.psql("CHECKPOINT")
    before, began = target.psql("SELECT pg_current_wal_insert_lsn()"), perf_counter()
    command = [sys.executable, "-m", "etl", "run"]
    done = subprocess.run(command, env=os.environ | variables | {"ETL_LOAD": load}, check=True, capture_output=True)
    seconds = perf_counter() - began
    events = {event["event"]: event for event in map(json.loads, done.stdout.splitlines())}
    wal = float(target.psql(f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn")) / 1e6
    return Took(events["table.loaded"].get("load", "full"), seconds, events["run.published"]["seconds"], wal)


def main(rows: int) -> None:
    """Measures the nights on two servers of its own, one after the other."""
    source, target = Server.start(settings=_SETTINGS), Server.start(settings=_SETTINGS)
    try:
        source.psql(_MAKE.format(rows=rows))
        night(source, target, "full")  # the first night makes the schemas
        full: Took | None = None
        for name, (load, change) in _NIGHTS.items():
            if change:
                source.psql(change.format(rows=rows))
            took = night(source, target, load)
            full = full or took
            print(
                f"{name}: {took.load}, {took.seconds:.1f} s ({took.seconds / full.seconds:.2f} x), of these the publish"
                f" {took.publish:.1f} s, WAL {took.wal:.0f} MB ({took.wal / full.wal:.2f} x)",
                flush=True,
            )
    finally:
        source.remove()
        target.remove()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
