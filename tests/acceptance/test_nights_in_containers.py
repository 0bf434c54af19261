"""A night whose jobs are containers of the built image, its Lambdas beside them, between two PostgreSQL containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from testcontainers.core.container import DockerContainer

from tests.acceptance.containers import PASSWORD, Image, Side, Sides, done
from tests.acceptance.nights import deployed, is_one_instant, make_tables
from tests.harness import Done

pytestmark = pytest.mark.xdist_group("image")  # one worker, so one build


@dataclass(slots=True)
class Contained:
    """A job that runs in a container."""

    container: DockerContainer
    ended: Done | None = None

    def poll(self) -> int | None:
        """The exit status; None while the container runs."""
        if self.ended is not None:
            return self.ended.status
        inside = self.container.get_wrapped_container()
        inside.reload()
        return self.done().status if inside.status == "exited" else None

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.container.get_wrapped_container().kill("SIGTERM")

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.container.get_wrapped_container().kill()

    def done(self) -> Done:
        """The exit status and the output."""
        self.ended = self.ended or done(self.container)
        return self.ended


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """The stack of things to remove at the end."""
    with ExitStack() as one:
        yield one


def outside(side: Side) -> str:
    """The URL by which this machine reaches a database in the containers' network."""
    host, port = side.server.get_container_host_ip(), side.server.get_exposed_port(5432)
    return f"postgresql://test:{quote(PASSWORD, safe='')}@{host}:{port}/{side.name}"


def test_a_night_in_containers(image: Image, sides: Sides, stack: ExitStack, tmp_path: Path) -> None:
    """The built image as the job, with its own entrypoint, read-only, without capabilities; the night is published."""

    def start(command: str, variables: Mapping[str, str]) -> Contained:
        container = stack.enter_context(image.started(command, network=sides.network, **variables))
        return Contained(container)

    make_tables(sides.operational.rows, outside(sides.operational))
    urls = {"ETL_OPERATIONAL_URL": outside(sides.operational), "ETL_REPORTING_URL": outside(sides.reporting)}
    with deployed(urls, start, sides.environment, tmp_path) as nights:
        ended = nights.night("tonight", "ecs", shards=3)
        jobs = nights.stopped("tonight")
        said = sorted((job.command, job.process.done().stderr) for job in jobs)
        assert said == [*[("run", "")] * 3, ("snapshot", "")]
        assert (ended.status, ended.cause) == ("SUCCEEDED", None)
        assert nights.told("tonight") == "✅ nightly-etl tonight is published: 20 tables"
    assert is_one_instant(sides.reporting)
    assert sides.reporting.rows("SELECT count(*) FROM etl.loads WHERE status = 'published'") == [(20,)]
    assert sides.staging_tables() == []
