"""Fixtures: two real servers for each session, and two fresh databases for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest

from servers.postgres import FAST, Server
from tests import harness, roles
from tests.harness import Database, Databases, Etl
from tests.releases import fast_copy, release

NEWEST = 18
"""The release that the tests are written for. It supports all SQL in the tests."""

LACKING = (psycopg.errors.SyntaxError, psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidParameterValue)

_DROP_ROLES = f"""
DO $$
DECLARE made name;
BEGIN
    FOR made IN SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname NOT IN ('{roles.READER}', '{roles.LOADER}')
    LOOP
        EXECUTE format('DROP ROLE %I', made);
    END LOOP;
END $$;
"""
"""Roles belong to the server: without this, a test meets the roles that the test before it has left."""

MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""The bytes of free memory with which the servers' data are in memory: ten times of what they take."""

_numbers = count()


def pytest_configure() -> None:
    """Puts the data of the servers into memory where there is room, unless ``ETL_TEST_DATA`` names a folder.

    A database is 300 files. On a disk, to make and drop two for each test took more CPU than most tests themselves.
    """
    if MEMORY.is_mount() and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) >= ROOM:
        os.environ.setdefault("ETL_TEST_DATA", str(MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skips a test whose own SQL is too new for the server named in ``ETL_TEST_POSTGRES``.

    Only errors of the test's own SQL count: etl runs in another process. On the newest release, which `make test` uses,
    such a test fails.
    """
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if report.failed and isinstance(error, LACKING) and release() < NEWEST:
        path, line, _ = item.location
        said = str(error).splitlines()[0]
        report.outcome, report.longrepr = "skipped", (path, line or 0, f"not in PostgreSQL {release()}: {said}")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deselects the tests that need a superuser when the suite runs with the roles of docs/."""
    for item in items:
        if roles.WANTED and (marker := item.get_closest_marker("superuser")):
            item.add_marker(pytest.mark.skip(reason=f"needs a superuser: {marker.args[0]}; `make test` runs it"))


@pytest.fixture(scope="session")
def operational_server() -> Iterator[Server]:
    """An embedded PostgreSQL for the session, 18 unless ``ETL_TEST_POSTGRES`` names another."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5", "wal_level": "replica"})
    if roles.WANTED:
        roles.make_reader(server)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def reporting_server() -> Iterator[Server]:
    """A second embedded PostgreSQL, because source and target are separate servers in production too."""
    server = Server.start(settings=FAST | {"max_prepared_transactions": "5"})
    if roles.WANTED:
        roles.make_loader(server)
    yield server
    server.remove()


@pytest.fixture(autouse=True)
def marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """The environment that the test's marker wants: with ``whole``, each load copies all rows, so each night swaps."""
    harness.MARKED.update({"ETL_LOAD": "full"} if request.node.get_closest_marker("whole") else {})
    yield
    harness.MARKED.clear()


@pytest.fixture
def databases(operational_server: Server, reporting_server: Server) -> Iterator[Databases]:
    """An empty operational and an empty reporting database."""
    name, template = f"test_{next(_numbers)}", roles.TEMPLATE if roles.WANTED else "template0"
    for server in (operational_server, reporting_server):
        server.psql(f"CREATE DATABASE {name} TEMPLATE {template} {fast_copy()}")
    if roles.WANTED:
        roles.open_database(reporting_server, name)
    reader, loader = (roles.READER, roles.LOADER) if roles.WANTED else ("postgres", "postgres")
    yield Databases(Database(operational_server, name, reader), Database(reporting_server, name, loader))
    for server in (operational_server, reporting_server):
        server.psql(f"DROP DATABASE {name} WITH (FORCE); {_DROP_ROLES}")


@pytest.fixture
def etl(databases: Databases) -> Etl:
    """``etl``, with the URLs of the two databases in its environment."""
    return Etl(databases.environment)
