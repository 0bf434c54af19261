"""What the tests stand on: a database of its own for each test, and ``etl`` as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from servers.postgres import Server

TIMEOUT = 120
"""Seconds after which a process that a test started is taken for hung."""

CANARY = "s3cr3t/c4n4ry"
"""A password that must never be shown, nor any piece of it; percent-encoded it looks otherwise."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database on one server, made for one test, and the role that ``etl`` has there."""

    server: Server
    name: str
    role: str = "postgres"

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @property
    def etl_url(self) -> str:
        """The URL that ``etl`` is given."""
        return self.server.url(self.name, self.role)

    def connect(self, **options: Any) -> psycopg.Connection[TupleRow]:
        """Opens a session, in autocommit, that speaks UTF8 whatever the database's encoding is."""
        return psycopg.connect(self.url, autocommit=True, **{"client_encoding": "UTF8"} | options)

    def execute(self, statements: str) -> None:
        """Executes SQL, one statement or more."""
        with self.connect() as connection:
            connection.execute(statements.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Gives a query's rows."""
        with self.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        """Gives the one value of a query's one row."""
        ((value,),) = self.rows(query)
        return value


@dataclass(frozen=True, slots=True)
class Databases:
    """An operational and a reporting database."""

    operational: Database
    reporting: Database

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead ``etl`` to them."""
        return {"ETL_OPERATIONAL_URL": self.operational.etl_url, "ETL_REPORTING_URL": self.reporting.etl_url}

    def staging_tables(self) -> list[str]:
        """Names what is left in staging schemas."""
        rows = self.reporting.rows(
            "SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname LIKE 'etl\\_staging%' ORDER BY 1"
        )
        return [name for (name,) in rows]


@dataclass(frozen=True, slots=True)
class Done:
    """How a process ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any]:
        """Gives the one event of this name."""
        (found,) = (event for event in self.events if event["event"] == name)
        return found


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Gives an environment with these variables and none that would reach ``etl`` by accident."""
    mine = ("ETL_", "AWS_", "PG", "TABLES")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # start-up is twice as fast with compiled files
    return inherited | {"AWS_EC2_METADATA_DISABLED": "true"} | dict(variables)


@dataclass(frozen=True, slots=True)
class Etl:
    """Starts ``etl`` as users do: a process, an environment, an exit status."""

    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **variables: str) -> Done:
        """Runs ``etl`` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "etl", *arguments],
            env=environment_of(self.environment | variables),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def started(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Starts ``etl`` and gives the running process; it is killed at the block's end if it still runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "etl", *arguments],
            env=environment_of(self.environment | variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=TIMEOUT)
