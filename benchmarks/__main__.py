"""``make bench``: measures this tool beside its peers, on two embedded servers, and writes benchmarks/results/."""

from __future__ import annotations

import compileall
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import etl
from benchmarks import data, scenarios
from benchmarks.peers import Servers
from benchmarks.report import Report, machine
from demo.embedded import Server

RESULTS = Path(__file__).parent / "results"

SETTINGS = {
    "fsync": "off",  # the disk is not what is compared
    "wal_level": "replica",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_locks_per_transaction": "256",
}

PARTS = ("stream", "memory", "tiny", "first-byte")


@click.command()
@click.option("--pairs", default=5, show_default=True, type=click.IntRange(1), help="Rounds of each comparison.")
@click.option("--rows", default=3_000_000, show_default=True, type=click.IntRange(1000), help="Rows of each table.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure this part alone; nothing is written.")
@click.option("--full", is_flag=True, help="Copy 5 GB too: needs 15 GB of disk and some minutes.")
def main(pairs: int, rows: int, only: tuple[str, ...], full: bool) -> None:
    """Measure wall time, CPU and memory of a copy, beside psql and psycopg."""
    compileall.compile_dir(str(Path(etl.__file__).parent), quiet=1)  # as in the image
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    began, wanted = time.perf_counter(), only or PARTS
    with _servers() as servers:
        report = Report(machine(servers, [f"{k}={v}" for k, v in SETTINGS.items()]), [], [], [], {}, 0)
        _measure(servers, report, wanted, pairs, rows)
        if full:
            report.memory.append(scenarios.memory(servers, 5))
    report.seconds = time.perf_counter() - began
    print(f"\n{report.markdown()}")
    if not only:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "last.md").write_text(report.markdown(), encoding="utf-8")
        (RESULTS / "last.json").write_text(json.dumps(report.json(), indent=1) + "\n", encoding="utf-8")


def _measure(servers: Servers, report: Report, wanted: tuple[str, ...], pairs: int, rows: int) -> None:
    if "first-byte" in wanted:
        report.first_byte.update(scenarios.first_byte(servers, pairs))
    if "stream" in wanted:
        for table, statement in (("lineitem", data.LINEITEM), ("accounts", data.ACCOUNTS)):
            report.streams.append(scenarios.side_by_side(servers, table, statement, rows, pairs))
    if "memory" in wanted:
        report.memory.append(scenarios.memory(servers, 0.5))
    if "tiny" in wanted:
        report.tiny.extend(scenarios.tiny(servers, pairs))


@contextmanager
def _servers() -> Iterator[Servers]:
    """Starts two servers, and removes them with their data at the block's end."""
    servers: list[Server] = []
    try:
        for _ in range(2):
            servers.append(Server.start(settings=SETTINGS))  # noqa: PERF401 -- the first goes too if the second fails
        yield Servers(*servers)
    finally:
        for server in servers:
            server.remove()


if __name__ == "__main__":
    main()
