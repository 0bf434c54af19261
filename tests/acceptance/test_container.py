"""``etl`` in its container, against two PostgreSQL containers; its root is read-only, it has no capabilities."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from testcontainers.core.container import DockerContainer

from tests.acceptance.checkout import ROOT
from tests.acceptance.containers import PASSWORD, Image, Sides, done
from tests.harness import TIMEOUT

pytestmark = pytest.mark.xdist_group("image")  # one worker, so one build

# Half an hour of rows, one a millisecond, so that a test surely finds the load in its middle.
ENDLESS = (
    "CREATE VIEW endless AS SELECT g AS id, repeat('x', 1000) AS filler, pg_sleep(0.001)::text AS pause"
    " FROM generate_series(1, 2000000) g"
)


def test_three_variables_are_enough_to_copy(image: Image, sides: Sides) -> None:
    """``docker run`` with TABLES and two URLs; the lines on standard output are JSON, standard error is empty."""
    sides.operational.rows(
        "CREATE TABLE orders (id int PRIMARY KEY, note text, paid numeric);"
        "INSERT INTO orders SELECT g, 'order ' || g, g / 7.0 FROM generate_series(1, 1000) g;"
        "CREATE SCHEMA sales; CREATE TABLE sales.invoice (id int); INSERT INTO sales.invoice VALUES (1)"
    )
    run = image.run(network=sides.network, TABLES="orders,sales.*", **sides.environment)
    assert (run.status, run.stderr) == (0, "")
    assert len(run.events) == len(run.stdout.splitlines())
    assert run.event("run.published")["tables"] == 2
    everything = "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o"
    assert sides.reporting.rows(everything) == sides.operational.rows(everything)
    assert sides.reporting.rows("SELECT id FROM sales.invoice") == [(1,)]


def test_the_compose_file_s_container_needs_one_file_and_two_passwords(
    image: Image, sides: Sides, tmp_path: Path
) -> None:
    """``init`` prints the file, which stands in the container as examples/compose.yaml says, with its restrictions."""
    sides.operational.rows("CREATE TABLE orders AS SELECT 1 AS id")
    printed = image.run("init", "--output", "-", network=sides.network, **sides.environment)
    assert (printed.status, printed.stderr) == (0, "")
    assert PASSWORD not in printed.stdout
    file = tmp_path / "nightly-etl.toml"
    file.write_text(printed.stdout)
    service = yaml.safe_load((ROOT / "examples" / "compose.yaml").read_text())["services"]["etl"]
    (config,) = service["configs"]
    container = DockerContainer(image.id).with_command(service["command"]).with_network(sides.network)
    container.with_envs(ETL_CONFIG=service["environment"]["ETL_CONFIG"])
    container.with_envs(ETL_OPERATIONAL_PASSWORD=PASSWORD, ETL_REPORTING_PASSWORD=PASSWORD)
    container.with_volume_mapping(str(file), config["target"], "ro")
    same = ("user", "read_only", "cap_drop", "security_opt", "mem_limit", "pids_limit")
    container.with_kwargs(**{name: service[name] for name in same})
    with container:
        run = done(container)
    assert (run.status, run.stderr) == (0, "")
    assert sides.reporting.rows("SELECT id FROM orders") == [(1,)]


def test_every_command_works_in_the_container(image: Image, sides: Sides) -> None:
    """check, run, verify, history and the page, in the order in which a user would try the image."""
    sides.operational.rows("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2)")
    for command in (["check"], ["run"], ["verify", "--json"], ["history", "--json"], ["report", "--output", "-"]):
        ended = image.run(*command, network=sides.network, TABLES="orders", **sides.environment)
        assert (ended.status, ended.stderr) == (0, ""), command
    assert ended.stdout.startswith("<!doctype html>")  # with what the wheel has beside its modules


def test_a_copy_that_fails_ends_with_1(image: Image, sides: Sides) -> None:
    """A state machine sees the container's exit status; nothing is published, nothing is left."""
    sides.operational.rows("CREATE VIEW bad AS SELECT 1 / (g - 3) AS id FROM generate_series(1, 5) g")
    run = image.run(network=sides.network, TABLES="bad", **sides.environment)
    assert run.status == 1
    assert "division by zero" in run.stderr + run.stdout
    assert "public.bad" in run.stderr
    assert sides.staging_tables() == []
    assert PASSWORD not in run.stderr + run.stdout


def test_bad_configuration_ends_with_2(image: Image, sides: Sides) -> None:
    """One line names the setting, without the password in the URL."""
    run = image.run(network=sides.network, **sides.environment)
    assert run.status == 2
    assert run.stderr.startswith("etl: TABLES is not set")
    assert sides.reporting.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'etl%'") == []


def test_docker_stop_ends_a_run_within_5_seconds(image: Image, sides: Sides) -> None:
    """In the middle of a COPY: 143, the ledger says interrupted, staging is empty, the live table is yesterday's."""
    sides.operational.rows(ENDLESS)
    sides.reporting.rows("CREATE TABLE endless (id int); INSERT INTO endless VALUES (-1)")
    variables = {"TABLES": "endless", "ETL_RUN_ID": "tonight", **sides.environment}
    with image.started(network=sides.network, **variables) as container:
        _wait_for_rows(sides)
        began = time.monotonic()
        container.get_wrapped_container().stop(timeout=20)
        seconds = time.monotonic() - began
        run = done(container)
    assert (run.status, run.stderr) == (143, "etl: stopped by SIGTERM\n")
    assert seconds < 5
    assert run.event("run.finished")["status"] == "interrupted"
    assert sides.reporting.rows("SELECT run_id, status FROM etl.runs") == [("tonight", "interrupted")]
    assert sides.staging_tables() == []
    assert sides.reporting.rows("SELECT id FROM endless") == [(-1,)]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_need_nothing(image: Image, arguments: list[str]) -> None:
    """No variable, no network, no home folder; the version is the label's and pyproject.toml's."""
    ended = image.run(*arguments)
    assert (ended.status, ended.stderr) == (0, "")
    assert (image.version if "--version" in arguments else "Usage: etl") in ended.stdout


def _wait_for_rows(sides: Sides) -> None:
    """Waits until the target has received rows of a running COPY."""
    deadline = time.monotonic() + TIMEOUT
    while not sides.reporting.rows("SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0"):
        assert time.monotonic() < deadline, "no COPY began"


def test_a_container_that_wants_more_memory_than_it_may_have_leaves_yesterday(image: Image, sides: Sides) -> None:
    """The kernel kills it in the middle of a field of 150 MB; with more memory the next run succeeds by itself."""
    sides.operational.rows("CREATE TABLE letters AS SELECT 1 AS id, 'short'::text AS body")
    night = {"TABLES": "letters", **sides.environment}
    assert image.run(network=sides.network, **night).status == 0
    sides.operational.rows("INSERT INTO letters SELECT 2, repeat('x', 150000000)")
    killed = image.run(network=sides.network, memory="200m", ETL_RUN_ID="killed", **night)
    assert (killed.status, killed.stderr) == (137, "")
    assert killed.event("run.started")
    assert sides.reporting.rows("SELECT id FROM letters") == [(1,)]
    again = image.run(network=sides.network, **night)
    assert (again.status, again.stderr) == (0, "")
    assert sides.reporting.rows("SELECT id, length(body) FROM letters ORDER BY 1") == [(1, 5), (2, 150_000_000)]
    assert sides.reporting.rows("SELECT status FROM etl.runs WHERE run_id = 'killed'") == [("interrupted",)]
    assert sides.staging_tables() == []
