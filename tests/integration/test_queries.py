"""The Logs Insights queries, each on the lines of real runs: two good nights, one of shards, one that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from lark.exceptions import UnexpectedInput

from servers.postgres import Server
from statemachine.definition import FOLDER
from tests.harness import Database, Databases, Etl
from tests.logs_insights import Row, fields, run

pytestmark = pytest.mark.xdist_group("queries")  # one worker, so its fixtures are made once

QUERIES = {file.stem: file.read_text() for file in sorted((FOLDER / "queries").glob("*.logs"))}

BUILT_IN = {"@timestamp", "@message"}


@pytest.fixture(scope="module")
def lines(operational_server: Server, reporting_server: Server) -> Iterator[list[str]]:
    """The lines of four nights; between the first two, public.orders trebles."""
    for server in (operational_server, reporting_server):
        server.psql("CREATE DATABASE queries")
    databases = Databases(Database(operational_server, "queries"), Database(reporting_server, "queries"))
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE items AS SELECT 1 AS id;"
        "CREATE VIEW bad AS SELECT 1 / (g - 3) AS id FROM generate_series(1, 5) g"
    )
    etl, written = Etl(databases.environment), ["a line that is no JSON"]
    written += etl("run", TABLES="orders,items", ETL_RUN_ID="first").stdout.splitlines()
    databases.operational.execute("INSERT INTO orders SELECT g FROM generate_series(101, 300) g")
    written += etl("run", TABLES="orders,items", ETL_RUN_ID="second").stdout.splitlines()
    written += etl("run", TABLES="bad", ETL_RUN_ID="third").stdout.splitlines()
    nobody = "postgresql://etl@127.0.0.1:1/shop"
    written += etl("run", TABLES="orders", ETL_RUN_ID="fourth", ETL_OPERATIONAL_URL=nobody).stdout.splitlines()
    for shard, table in enumerate(["orders", "items"]):
        variables = {"ETL_RUN_ID": f"shard-{shard}", "ETL_SHARD": str(shard), "ETL_PUBLISH": "defer"}
        written += etl("run", TABLES=table, **variables).stdout.splitlines()
    yield written
    etl("abort", "shard-0")


def rows(name: str, lines: list[str]) -> list[Row]:
    """The result of a query."""
    return run(QUERIES[name], lines)


def test_last_night(lines: list[str]) -> None:
    """A line a load, all figures on it, the longest first."""
    found = [row for row in rows("last-night", lines) if row["run_id"] == "second"]
    assert {row["table"]: row["rows"] for row in found} == {"public.orders": 300, "public.items": 1}
    assert all(value is not None for row in found for value in row.values())
    seconds = [row["seconds"] for row in rows("last-night", lines)]
    assert seconds == sorted(seconds, reverse=True)


def test_table_trend(lines: list[str]) -> None:
    """A line a night, here a day: the most rows of the one table."""
    found = rows("table-trend", lines)
    assert [row["most_rows"] for row in found][-1] == 300
    assert all(row["longest"] > 0 and row["most_bytes"] > 0 for row in found)


def test_slowest_tables(lines: list[str]) -> None:
    """A line a table, over all nights."""
    found = {row["table"]: row for row in rows("slowest-tables", lines)}
    assert {name: row["nights"] for name, row in found.items()} == {"public.orders": 3, "public.items": 3}
    assert all(row["worst"] >= row["mean"] > 0 for row in found.values())


def test_shard_balance(lines: list[str]) -> None:
    """A line a shard, none for runs of one container."""
    found = [(row["run_id"], row["shard"], row["loaded"], row["worked"] > 0) for row in rows("shard-balance", lines)]
    assert found == [("shard-1", 1, 1, True), ("shard-0", 0, 1, True)]


def test_failures(lines: list[str]) -> None:
    """The table and the run, each with its reason, be it before the run began; nothing of nights that were good."""
    found = rows("failures", lines)
    assert [(row["event"], row["run_id"], row["table"]) for row in found] == [
        ("run.finished", "fourth", None),
        ("run.finished", "third", None),
        ("table.failed", "third", "public.bad"),
    ]
    assert "cannot be reached" in found[0]["error"]
    assert "1 of 1 tables failed (public.bad)" in found[1]["error"]
    assert "division by zero" in found[2]["error"]


def test_rows_that_jumped(lines: list[str]) -> None:
    """Only the table that grew by more than half."""
    (found,) = rows("rows-that-jumped", lines)
    assert found == {"table": "public.orders", "fewest": 100, "most": 300, "last": 300, "nights": 3, "jump": 200}


@pytest.mark.parametrize("name", QUERIES)
def test_every_field_is_on_some_line(lines: list[str], name: str) -> None:
    """A field that no run writes would make a query find nothing, silently."""
    written = {key for line in lines if line.startswith("{") for key in json.loads(line)}
    assert fields(QUERIES[name]) <= written | BUILT_IN


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_says_what_it_gives_and_is_in_the_docs(name: str) -> None:
    """Its first line is a comment; docs/logs-insights.md has it word for word."""
    assert QUERIES[name].startswith("# ")
    assert f"```\n{QUERIES[name]}```" in (FOLDER.parent / "docs/logs-insights.md").read_text()


@pytest.mark.parametrize(
    "query",
    [
        'filtre event = "x"',
        'filter event == "x"',
        "stats avg(seconds) as by table",
        "fields a | | limit 1",
        "stats mean(seconds) by table",
        "sort seconds down",
        "SELECT 1",
    ],
)
def test_what_is_no_query_is_refused(query: str) -> None:
    """A checker that takes everything would pass the tests above."""
    with pytest.raises(UnexpectedInput):
        run(query, [])
