"""Fixtures that only some integration tests need; the other tests do not start them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.parameters import parameter_store
from servers.postgres import FAST, Server
from servers.programs import system_bin
from tests.harness import CANARY


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The endpoint of a Parameter Store, moto's, over real HTTP."""
    with parameter_store() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def secure_server() -> Iterator[Server]:
    """A server that requires the password CANARY."""
    with tempfile.NamedTemporaryFile("w") as file:  # the server's user may not enter pytest's own folders
        file.write(CANARY)
        file.flush()
        Path(file.name).chmod(0o644)
        server = Server.start(settings=FAST, auth="scram-sha-256", pwfile=file.name)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def system_server() -> Iterator[Server]:
    """A server of the machine's own PostgreSQL, which has contrib, libxml and TLS."""
    folder = system_bin()
    if folder is None:
        pytest.skip("no pg_ctl on PATH; a PostgreSQL server package of the distribution, 13 or later, brings it")
    server = Server.start(folder, FAST)
    yield server
    server.remove()
