"""Fixtures: two real servers a session, two fresh databases a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from demo.embedded import FAST, Server
from tests import roles
from tests.harness import Database, Databases, Etl

_numbers = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what only a superuser can do, where the suite runs with the roles of docs/."""
    for item in items:
        if roles.WANTED and (marker := item.get_closest_marker("superuser")):
            item.add_marker(pytest.mark.skip(reason=f"needs a superuser: {marker.args[0]}; `make test` runs it"))


@pytest.fixture(scope="session")
def operational_server() -> Iterator[Server]:
    """An embedded PostgreSQL 18 for the session."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5", "wal_level": "replica"})
    if roles.WANTED:
        roles.make_reader(server)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def reporting_server() -> Iterator[Server]:
    """Another, of its own, as in real life."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5"})
    if roles.WANTED:
        roles.make_loader(server)
    yield server
    server.remove()


@pytest.fixture
def databases(operational_server: Server, reporting_server: Server) -> Iterator[Databases]:
    """An empty operational and an empty reporting database."""
    name, template = f"test_{next(_numbers)}", roles.TEMPLATE if roles.WANTED else "template0"
    for server in (operational_server, reporting_server):
        server.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
    if roles.WANTED:
        roles.open_database(reporting_server, name)
    reader, loader = (roles.READER, roles.LOADER) if roles.WANTED else ("postgres", "postgres")
    yield Databases(Database(operational_server, name, reader), Database(reporting_server, name, loader))
    for server in (operational_server, reporting_server):
        server.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def etl(databases: Databases) -> Etl:
    """``etl``, with its two databases in the environment."""
    return Etl(databases.environment)
