"""Who copies a table: this tool as users start it, its bare stream, ``psql | psql``, and plain psycopg.

All write binary COPY with FREEZE, into a table without indexes that the same transaction has made or emptied.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks.measure import Command, Usage, measure
from demo.embedded import Server


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers that a benchmark stands on."""

    source: Server
    target: Server

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead ``etl`` to them."""
        return {"ETL_OPERATIONAL_URL": self.source.url(), "ETL_REPORTING_URL": self.target.url()}

    def fresh(self, table: str) -> None:
        """Leaves an empty table of the source's columns in the target, and no dirty buffers on either side."""
        self.target.psql(f"DROP TABLE IF EXISTS {table}")
        ddl = "SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)"
        columns = self.source.psql(f"{ddl} FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0")
        self.target.psql(f"CREATE TABLE {table} ({columns})")
        for server in (self.source, self.target):
            server.psql("CHECKPOINT")

    def count(self, table: str) -> int:
        """Counts the rows that arrived."""
        return int(self.target.psql(f"SELECT count(*) FROM {table}"))


def etl(servers: Servers, table: str) -> Usage:
    """``etl run``, the whole process: start-up, ledger, snapshot, rows, ANALYZE, publish."""
    return measure(etl_command(), servers.environment | {"TABLES": table})


def etl_command() -> list[Command]:
    """Gives the command that users start."""
    return [[sys.executable, "-m", "etl", "run"]]


def stream(servers: Servers, table: str) -> Usage:
    """``etl.stream.copy`` alone, timed inside its process."""
    whole = measure([_module("benchmarks.bare", servers, table)])
    inner = json.loads(whole.output)
    return Usage(inner["wall"], inner["cpu"], whole.peak)


def psql(servers: Servers, table: str) -> Usage:
    """``psql -c 'COPY … TO STDOUT' | psql -c 'COPY … FROM STDIN'``."""
    return measure(psql_command(servers, table))


def psql_command(servers: Servers, table: str) -> list[Command]:
    """Gives both halves of ``psql | psql``."""
    psql = servers.source.bin / "psql"
    source, target = ([str(psql), "-Xq", server.url()] for server in (servers.source, servers.target))
    into = f"COPY {table} FROM STDIN (FORMAT binary, FREEZE)"
    copy_in = ["--single-transaction", "-c", f"TRUNCATE {table}", "-c", into]
    copy_out = ["-c", f"COPY {table} TO STDOUT (FORMAT binary)"]
    return [[*source, *copy_out], [*target, *copy_in]]


def psycopg(servers: Servers, table: str) -> Usage:
    """Plain psycopg, as its manual shows it: block by block from one connection's COPY into the other's."""
    return measure([_module("benchmarks.plain", servers, table)])


def _module(name: str, servers: Servers, table: str) -> Command:
    return [sys.executable, "-m", name, servers.source.url(), servers.target.url(), table]


PEERS = {"etl run": etl, "etl.stream": stream, "psql | psql": psql, "psycopg": psycopg}
