"""Fixtures: two real servers a session, two fresh databases a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from demo.embedded import FAST, Server
from tests.harness import Database, Databases, Etl

_numbers = count()


@pytest.fixture(scope="session")
def operational_server() -> Iterator[Server]:
    """An embedded PostgreSQL 18 for the session."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5", "wal_level": "replica"})
    yield server
    server.remove()


@pytest.fixture(scope="session")
def reporting_server() -> Iterator[Server]:
    """Another, of its own, as in real life."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5"})
    yield server
    server.remove()


@pytest.fixture
def databases(operational_server: Server, reporting_server: Server) -> Iterator[Databases]:
    """An empty operational and an empty reporting database."""
    name = f"test_{next(_numbers)}"
    for server in (operational_server, reporting_server):
        server.psql(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY wal_log")
    yield Databases(Database(operational_server, name), Database(reporting_server, name))
    for server in (operational_server, reporting_server):
        server.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def etl(databases: Databases) -> Etl:
    """``etl``, with its two databases in the environment."""
    return Etl(databases.environment)
