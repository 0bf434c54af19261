"""The first hour of a new user: a fresh container, the wheel, two servers, and the commands that the pages name."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from testcontainers.core.container import DockerContainer

from tests.acceptance.containers import Image, Sides
from tests.acceptance.test_wheel import slim, wheel
from tests.harness import Done

__all__ = ["slim", "wheel"]

pytestmark = pytest.mark.xdist_group("image")

SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, city text);
    INSERT INTO customers VALUES (1, 'Ada Lovelace', 'ada@example.com', 'London'), (2, 'Alan Turing', NULL, 'Wilmslow');
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric);
    INSERT INTO orders VALUES (1, 1, 3), (2, 2, 4);
    CREATE TABLE draft_orders (id int)
"""

FOLDER = "/home/newcomer"


class Newcomer:
    """A person at the shell of a container that has Python and the wheel, and nothing of the project's checkout."""

    def __init__(self, container: DockerContainer, sides: Sides) -> None:
        self.container, self.sides = container, sides

    def __call__(self, line: str, **variables: str) -> Done:
        """Types a line; the URLs are in the environment, as a person exports them."""
        found: Any = self.container.get_wrapped_container().exec_run(
            ["bash", "-c", line], environment=self.sides.environment | variables, workdir=FOLDER, demux=True
        )
        stdout, stderr = (part.decode() if part else "" for part in found.output)
        return Done(found.exit_code, stdout, stderr)

    def does(self, line: str, **variables: str) -> str:
        """Types a line that has to work; returns what it prints."""
        done = self(line, **variables)
        assert (done.status, done.stderr) == (0, ""), f"{line}: {done}"
        return done.stdout


@pytest.fixture
def newcomer(slim: Image, sides: Sides) -> Iterator[Newcomer]:
    """A fresh container."""
    sides.operational.rows(SHOP)
    container = DockerContainer(slim.id).with_command("sleep 1800").with_network(sides.network)
    container.with_kwargs(working_dir=FOLDER)
    with container:
        yield Newcomer(container, sides)


def test_the_first_hour(newcomer: Newcomer) -> None:
    """init, check, run, history, masks, some tables, a command after the publish, retire: each as its page says."""
    live = newcomer.sides.reporting.rows
    assert "nightly-etl.toml" in newcomer.does("etl --help")

    # the file, from what the source has
    written = newcomer.does("etl init")
    assert written == (
        "nightly-etl.toml: 3 tables\n"
        "2 columns look like personal data: read the masks that the file proposes at its end\n"
        "next: etl check\n"
    )
    text = newcomer.does("cat nightly-etl.toml")
    assert tomllib.loads(text)["tables"] == ["customers", "draft_orders", "orders"]
    assert (newcomer("etl init").status, newcomer.does("etl init --force")) == (2, written)

    # what a run would do, and the run
    assert "ok         public.customers: is loaded for the first time" in newcomer.does("etl check")
    newcomer.does("etl run --json > first.json 2> log")
    first = json.loads(newcomer.does("cat first.json"))
    assert (first["status"], first["tables"], first["rows"]) == ("published", 3, 4)
    assert live("SELECT email FROM customers WHERE id = 1") == [("ada@example.com",)]
    assert newcomer.does("etl verify orders").count("\n") > 0
    (run,) = json.loads(newcomer.does("etl history --json"))
    assert run["run_id"] == first["run_id"]
    assert first["run_id"] in newcomer.does("etl history")

    # the masks that the file proposes: the # before them is taken away
    newcomer.does(r"sed -i '/^# All masks/,$ s/^# \([[a-z]\)/\1/' nightly-etl.toml")
    refused = newcomer("etl run")
    assert refused.status == 2
    assert "masks that need a key" in refused.stderr
    key = {"ETL_MASK_KEY": "0123456789abcdef0123456789abcdef"}
    newcomer.does("etl run", **key)
    ((email,),) = live("SELECT email FROM customers WHERE id = 1")
    assert email.endswith("@example.com")
    assert email != "ada@example.com"

    # some of the tables, and a command after the publish
    newcomer.sides.operational.rows("INSERT INTO orders VALUES (3, 2, 5)")
    told = newcomer("etl run orders", ETL_AFTER_PUBLISH="sh -c 'echo after $ETL_PUBLISHED_TABLES'", **key)
    assert (told.status, told.stderr) == (0, 'after ["public.orders"]\n')
    assert live("SELECT count(*) FROM orders") == [(3,)]

    # a table that is wanted no longer
    newcomer.does("sed -i '/draft_orders/d' nightly-etl.toml")
    assert "public.draft_orders: is left behind" in newcomer.does("etl check", **key)
    unasked = newcomer("etl retire draft_orders", **key)
    assert (unasked.status, live("SELECT count(*) FROM draft_orders")) == (2, [(0,)])
    newcomer.does("etl retire draft_orders --yes", **key)
    assert live("SELECT to_regclass('draft_orders') IS NULL") == [(True,)]
    assert "left behind" not in newcomer.does("etl check", **key)
    assert live("SELECT table_name FROM etl.freshness ORDER BY 1") == [("customers",), ("orders",)]

    # help from the shell: the man page, and completion
    assert "ETL_AFTER_PUBLISH" in newcomer.does("cat $(python -c 'import sys; print(sys.prefix)')/share/man/man1/etl.1")
    assert newcomer.does("_ETL_COMPLETE=bash_complete COMP_WORDS='etl set' COMP_CWORD=1 etl") == "plain,settings\n"
