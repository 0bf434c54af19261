"""The image as its users run it: containers beside two PostgreSQL containers, on one network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
from docker.models.images import Image as DockerModel
from psycopg.conninfo import make_conninfo
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.harness import TIMEOUT, Done

PASSWORD = "pa:ss/w@rd %"
"""A password that fails if any code forgets to encode it."""


@dataclass(frozen=True, slots=True)
class Side:
    """One fresh database in a PostgreSQL container, as the test and as ``etl`` reach it."""

    server: PostgresContainer
    alias: str
    name: str

    @property
    def url(self) -> str:
        """The URL on the containers' network."""
        return f"postgresql://test:{quote(PASSWORD, safe='')}@{self.alias}:5432/{self.name}"

    def rows(self, statements: str) -> list[tuple[Any, ...]]:
        """Executes SQL; returns the last statement's rows."""
        host, port = self.server.get_container_host_ip(), self.server.get_exposed_port(5432)
        where = make_conninfo(host=host, port=port, user="test", password=PASSWORD, dbname=self.name)
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statements.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True, slots=True)
class Sides:
    """An operational and a reporting database, in containers of their own."""

    operational: Side
    reporting: Side
    network: Network

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead ``etl`` to them."""
        return {"ETL_OPERATIONAL_URL": self.operational.url, "ETL_REPORTING_URL": self.reporting.url}

    def staging_tables(self) -> list[tuple[Any, ...]]:
        """The names of the tables that are left in staging schemas."""
        return self.reporting.rows(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname LIKE 'etl\\_staging%'"
        )


@dataclass(frozen=True, slots=True)
class Image:
    """The image under test."""

    id: str
    model: DockerModel
    version: str
    planted: str
    """A text that stood in files of the build's context that no image may hold."""

    @property
    def config(self) -> dict[str, Any]:
        """The image's configuration, with the OCI's names."""
        config: dict[str, Any] = self.model.attrs["Config"]
        return config

    @contextmanager
    def started(
        self,
        *arguments: str,
        network: Network | None = None,
        entrypoint: str | None = None,
        memory: str | None = None,
        **variables: str,
    ) -> Iterator[DockerContainer]:
        """Starts a container with a read-only root and no capabilities; it is removed at the block's end.

        With ``memory`` ("200m") the kernel kills it if it uses more.
        """
        instead: dict[str, Any] = {"entrypoint": [entrypoint]} if entrypoint else {}
        instead |= {"mem_limit": memory, "memswap_limit": memory} if memory else {}
        container = DockerContainer(self.id).with_envs(**variables)
        container.with_kwargs(read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"], **instead)
        if arguments:
            container.with_command(list(arguments))
        if network is not None:
            container.with_network(network)
        with container:
            yield container

    def run(
        self,
        *arguments: str,
        network: Network | None = None,
        entrypoint: str | None = None,
        memory: str | None = None,
        **variables: str,
    ) -> Done:
        """Runs a container to its end."""
        with self.started(*arguments, network=network, entrypoint=entrypoint, memory=memory, **variables) as container:
            return done(container)


def done(container: DockerContainer) -> Done:
    """Waits for a container's end; returns its exit status and output."""
    status = container.get_wrapped_container().wait(timeout=TIMEOUT)["StatusCode"]
    stdout, stderr = container.get_logs()
    return Done(status, stdout.decode(), stderr.decode())
