"""What is measured: the stream beside its peers, memory, tiny tables, and the time to the first byte."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import psycopg

from benchmarks import data, peers
from benchmarks.measure import Spread, Usage, measure
from benchmarks.peers import Servers

GIGABYTE_ROWS = 4_620_000
"""Rows of lineitem whose binary COPY is 1 GB: 217 bytes each."""

TINY_TABLES = 1000

DEADLINE = 60.0
"""Seconds after which a copy that has not begun never will."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One table copied by every peer, round by round."""

    table: str
    rows: int
    rounds: list[dict[str, Usage]]

    def spread(self, peer: str, value: Callable[[Usage], float]) -> Spread:
        """Gives a peer's own figures."""
        return Spread.of([value(one[peer]) for one in self.rounds])

    def ratio(self, peer: str, beside: str, value: Callable[[Usage], float]) -> Spread:
        """Gives a peer's figures as a part of another's in the same round."""
        return Spread.of([value(one[peer]) / value(one[beside]) for one in self.rounds])


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak of ``etl run``'s resident memory over a table of so many bytes on the wire."""

    copied: int
    peak: int


def side_by_side(servers: Servers, table: str, statement: str, rows: int, pairs: int) -> Stream:
    """Copies one table by every peer, ``pairs`` times, in an order that turns round each time."""
    data.make(servers.source, statement, table, rows)
    rounds = [dict(_round(servers, table, rows, number)) for number in range(pairs)]
    return Stream(table, rows, rounds)


def _round(servers: Servers, table: str, rows: int, number: int) -> Iterator[tuple[str, Usage]]:
    order = list(peers.PEERS.items())
    for name, copy in order if number % 2 else reversed(order):
        servers.fresh(table)
        usage = copy(servers, table)
        _insist(servers, table, rows, name)
        print(f"  {table} {number + 1}: {name:12} {usage.wall:6.2f} s  cpu {usage.cpu:5.2f} s  {usage.peak >> 20} MiB")
        yield name, replace(usage, output="")


def _insist(servers: Servers, table: str, rows: int, name: str) -> None:
    if (arrived := servers.count(table)) != rows:
        raise RuntimeError(f"{name} copied {arrived} rows of {table}'s {rows}")


def memory(servers: Servers, gigabytes: float) -> Memory:
    """Copies one table of this size with ``etl run``, and drops it."""
    rows = int(GIGABYTE_ROWS * gigabytes)
    data.make(servers.source, data.LINEITEM, "big", rows)
    servers.fresh("big")
    usage = peers.etl(servers, "big")
    _insist(servers, "big", rows, "etl run")
    for server in (servers.source, servers.target):
        server.psql("DROP TABLE big")
    copied = _finished(usage)["bytes"]
    print(f"  {copied / 1e9:.2f} GB: {usage.wall:.1f} s, peak {usage.peak >> 20} MiB")
    return Memory(copied, usage.peak)


def tiny(servers: Servers, runs: int) -> list[Usage]:
    """Copies the tiny tables so many times over, the first time as new ones; gives what each whole process took."""
    data.make_tiny(servers.source, TINY_TABLES)
    return [_tiny_once(servers) for _ in range(runs)]


def _tiny_once(servers: Servers) -> Usage:
    usage = measure(peers.etl_command(), servers.environment | {"TABLES": "tiny.*"})
    if (tables := _finished(usage)["tables"]) != TINY_TABLES:
        raise RuntimeError(f"{tables} tables were copied, not {TINY_TABLES}")
    print(f"  {TINY_TABLES} tiny tables: {usage.wall:.2f} s, cpu {usage.cpu:.2f} s, peak {usage.peak >> 20} MiB")
    return replace(usage, output="")


def first_byte(servers: Servers, runs: int) -> dict[str, list[float]]:
    """Gives the seconds from a process's start to the first byte that reaches the target's COPY, for each peer."""
    table = "accounts_small"
    data.make(servers.source, data.ACCOUNTS, table, 300_000)
    commands = {"etl run": peers.etl_command(), "psql | psql": peers.psql_command(servers, table)}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with psycopg.connect(servers.target.url(), autocommit=True) as watch:
        for _ in range(runs):
            for name, command in commands.items():
                servers.fresh(table)
                usage = measure(command, servers.environment | {"TABLES": table}, lambda: _copying(watch))
                assert usage.first_byte is not None
                seconds[name].append(usage.first_byte)
                print(f"  first byte: {name:12} {usage.first_byte:.3f} s")
    return seconds


def _copying(watch: psycopg.Connection) -> float:
    """Waits until the target says that a COPY has taken bytes; gives the time."""
    deadline = time.perf_counter() + DEADLINE
    query = "SELECT FROM pg_stat_progress_copy WHERE command = 'COPY FROM' AND bytes_processed > 0"
    while watch.execute(query).fetchone() is None:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"no COPY has begun after {DEADLINE:g} s")
        time.sleep(0.002)
    return time.perf_counter()


def _finished(usage: Usage) -> dict[str, int]:
    """Gives ``etl run``'s last event."""
    event: dict[str, int] = json.loads(usage.output.splitlines()[-1])
    return event
