"""Fixtures: one build of the image a session, two PostgreSQL containers, two fresh databases a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import docker
import pytest
from docker.errors import DockerException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network

from tests.acceptance.checkout import checkout, project_version
from tests.acceptance.containers import PASSWORD, Image, Side, Sides

# Ryuk is another image to pull, and needs the engine's socket; the fixtures remove their containers themselves.
testcontainers_config.ryuk_disabled = True

_numbers = count()
_PLANTED = "planted-b7e1c4f0"


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    """A running container engine."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        pytest.skip("no container engine answers; runs where `docker info` does")
    return client


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built from a checkout that contains planted secrets."""
    assert engine is not None
    folder = checkout(tmp_path_factory.mktemp("context"))
    for name in (".env", "etl/.env", ".aws/credentials", "tests/secret.py", "secret.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(_PLANTED)
    arguments = {"VERSION": project_version(), "REVISION": "0123abc"}
    build = DockerImage(folder, {"timeout": 600}, "nightly-etl:test", clean_up=False, buildargs=arguments, rm=True)
    model = build.build().get_wrapped_image()
    assert model.id is not None
    return Image(model.id, model, project_version(), _PLANTED)


@pytest.fixture(scope="session")
def network(engine: docker.DockerClient) -> Iterator[Network]:
    """A network for the containers."""
    assert engine is not None
    with Network() as made:
        yield made


@pytest.fixture(scope="session")
def servers(network: Network) -> Iterator[dict[str, PostgresContainer]]:
    """Two PostgreSQL containers, by their names in the network."""
    sides = ("operational", "reporting")
    made = {side: PostgresContainer("postgres:18", username="test", password=PASSWORD) for side in sides}
    try:
        for side, server in made.items():
            server.with_network(network).with_network_aliases(side).start()
        yield made
    finally:
        for server in made.values():
            server.stop()


@pytest.fixture
def sides(servers: dict[str, PostgresContainer], network: Network) -> Sides:
    """An empty operational and an empty reporting database."""
    name = f"test_{next(_numbers)}"
    for side, server in servers.items():
        Side(server, side, "test").rows(f"CREATE DATABASE {name}")
    operational, reporting = (Side(server, side, name) for side, server in servers.items())
    return Sides(operational, reporting, network)
