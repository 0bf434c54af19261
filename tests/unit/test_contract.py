"""docs/contract.md lists every event that the log can have, and every column of the ledger."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.ledger import tables
from etl.model.status import LoadStatus, RunStatus

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error"}


def logged() -> set[str]:
    """The events that the code logs, from the first arguments of ``….info("noun.verb", …)``."""
    return {
        call.args[0].value
        for file in (ROOT / "etl").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def section(heading: str) -> str:
    """The text from a heading, or from a paragraph that begins with it, to the next one of the same kind."""
    return re.split(r"\n## |\n`etl\.", PAGE.partition(heading)[2])[0]


def named(text: str) -> set[str]:
    """The names in the first columns of the tables."""
    return {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)}


def test_each_event_is_documented_and_each_documented_event_is_logged() -> None:
    """An event that is added, renamed or removed requires a change of the page."""
    assert len(logged()) > 20
    assert named(section("## Events")) == logged()


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.name)
def test_each_column_of_the_ledger_is_documented(table: sa.Table) -> None:
    """The page has no other columns either."""
    assert named(section(f"\n`{table.fullname}`,")) == {column.name for column in table.columns}


def test_the_statuses_of_the_ledger_are_documented() -> None:
    """The page has the statuses of runs and of loads beside their columns."""
    for table, statuses in ((tables.runs, RunStatus), (tables.loads, LoadStatus)):
        (row,) = re.findall(r"^\| `status` \| (.*) \|$", section(f"\n`{table.fullname}`,"), re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == {str(status) for status in statuses}
