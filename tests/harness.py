"""The base of the tests: a database for each test, and ``etl`` as a real process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from servers.postgres import Server
from tests import forkserver

TIMEOUT = 120
"""Seconds after which the tests assume that a process they started hangs."""

CANARY = "s3cr3t/c4n4ry"
"""A password of which no output may show any piece. It changes when it is percent-encoded."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database on one server, created for one test, and the role that ``etl`` uses there."""

    server: Server
    name: str
    role: str = "postgres"

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @property
    def etl_url(self) -> str:
        """The URL that the tests give to ``etl``."""
        return self.server.url(self.name, self.role)

    def connect(self, **options: Any) -> psycopg.Connection[TupleRow]:
        """Opens a session in autocommit mode with client encoding UTF8, whatever encoding the database has."""
        return psycopg.connect(self.url, autocommit=True, **{"client_encoding": "UTF8"} | options)

    def execute(self, statements: str) -> None:
        """Executes one or more SQL statements."""
        with self.connect() as connection:
            connection.execute(statements.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Executes a query and returns its rows."""
        with self.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        """Executes a query that returns one row with one column, and returns this value."""
        ((value,),) = self.rows(query)
        return value


@dataclass(frozen=True, slots=True)
class Databases:
    """An operational and a reporting database."""

    operational: Database
    reporting: Database

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that lead ``etl`` to both databases."""
        return {"ETL_OPERATIONAL_URL": self.operational.etl_url, "ETL_REPORTING_URL": self.reporting.etl_url}

    def staging_tables(self) -> list[str]:
        """The names of the tables that are left in staging schemas."""
        rows = self.reporting.rows(
            "SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname LIKE 'etl\\_staging%' ORDER BY 1"
        )
        return [name for (name,) in rows]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a process: its exit status and its output."""

    status: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any]:
        """The only event with this name."""
        (found,) = (event for event in self.events if event["event"] == name)
        return found


MARKED: dict[str, str] = {}
"""The variables that the running test's marker sets for each process (``pytest.mark.whole``)."""


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """An environment with these variables, and without any inherited variable that ``etl`` would read."""
    mine = ("ETL_", "AWS_", "PG", "TABLES")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # start-up is twice as fast with compiled files
    return inherited | {"AWS_EC2_METADATA_DISABLED": "true"} | MARKED | dict(variables)


@dataclass(frozen=True, slots=True)
class Etl:
    """Starts ``etl`` as users do: a process, an environment, an exit status."""

    environment: dict[str, str] = field(default_factory=dict)
    fresh: bool = False
    """Whether each process is a new interpreter, and not a fork (tests/forkserver.py)."""

    def having(self, **variables: str) -> Etl:
        """The same with these variables in its environment."""
        return replace(self, environment=self.environment | variables)

    def __call__(self, *arguments: str, **variables: str) -> Done:
        """Runs ``etl`` to its end."""
        with self.started(*arguments, **variables) as process:
            stdout, stderr = process.communicate(timeout=TIMEOUT)
        return Done(process.returncode, stdout, stderr)

    @contextmanager
    def started(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Starts ``etl`` and yields the running process. It is killed at the block's end if it still runs."""
        process = forkserver.start(
            arguments,
            environment_of(self.environment | variables),
            fresh=self.fresh,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=TIMEOUT)
