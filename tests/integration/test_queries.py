"""The Logs Insights queries: each parses, and asks for what real runs write, good ones, shards and ones that failed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lark.exceptions import UnexpectedInput

from servers.postgres import Server
from statemachine.definition import FOLDER
from tests.harness import Database, Databases, Etl
from tests.logs_insights import parsed, unknown

pytestmark = pytest.mark.xdist_group("queries")  # one worker, so its fixtures are made once

QUERIES = {file.stem: file.read_text() for file in sorted((FOLDER / "queries").glob("*.logs"))}


@pytest.fixture(scope="module")
def lines(operational_server: Server, reporting_server: Server) -> Iterator[list[str]]:
    """The lines of a good night, of two that failed, and of two shards."""
    for server in (operational_server, reporting_server):
        server.psql("CREATE DATABASE queries")
    databases = Databases(Database(operational_server, "queries"), Database(reporting_server, "queries"))
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 100) g; CREATE TABLE items AS SELECT 1 AS id;"
        "CREATE VIEW bad AS SELECT 1 / (g - 3) AS id FROM generate_series(1, 5) g"
    )
    etl, written = Etl(databases.environment), ["a line that is no JSON"]
    written += etl("run", TABLES="orders,items", ETL_RUN_ID="first", ETL_VERIFY="checksum").stdout.splitlines()
    written += etl("run", TABLES="bad", ETL_RUN_ID="second").stdout.splitlines()
    nobody = "postgresql://etl@127.0.0.1:1/shop"
    written += etl("run", TABLES="orders", ETL_RUN_ID="third", ETL_OPERATIONAL_URL=nobody).stdout.splitlines()
    for shard, table in enumerate(["orders", "items"]):
        variables = {"ETL_RUN_ID": f"shard-{shard}", "ETL_SHARD": str(shard), "ETL_PUBLISH": "defer"}
        written += etl("run", TABLES=table, **variables).stdout.splitlines()
    yield written
    etl("abort", "shard-0")


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_asks_for_what_runs_write(lines: list[str], name: str) -> None:
    """A field, an event or a status that no line has would make a query find nothing, silently."""
    assert unknown(QUERIES[name], lines) == set()


@pytest.mark.parametrize(
    ("part", "wrong", "missing"),
    [
        ("run_id, event", "run_ids, event", {"run_ids"}),
        ("table, status", "table, jobs", {"jobs"}),
        ('"table.failed"', '"table.failing"', {"event table.failing", "table"}),
        ('"staged"', '"stagd"', {"status stagd"}),
        ("sort @timestamp", "sort @time", {"@time"}),
    ],
)
def test_what_no_line_has_is_named(lines: list[str], part: str, wrong: str, missing: set[str]) -> None:
    """A field that is misspelt, one of another event, an event and a status that nothing has, a column to sort by."""
    query = QUERIES["failures"]
    assert part in query
    assert unknown(query.replace(part, wrong), lines) == missing


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
        parsed(query)
