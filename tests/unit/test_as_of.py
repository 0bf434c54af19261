"""The line of a comment that says as of when a table is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from etl.model import as_of
from etl.model.as_of import dated, undated
from etl.sessions.query import target_query

NIGHT = datetime(2026, 11, 28, 2, 0, 3, 999_999, UTC)
LINE = "As of 2026-11-28 02:00:03 UTC (nightly-etl)"


@pytest.mark.parametrize("said", [None, "Orders", "Orders\n\nof the shop", "As of today", f"{LINE}, or so", "x\n\n"])
def test_the_line_comes_after_what_the_comment_says_and_goes_again(said: str | None) -> None:
    """Whatever a comment says beside the line stays as it is."""
    assert dated(said, NIGHT) == (f"{said}\n\n{LINE}" if said else LINE)
    assert undated(dated(said, NIGHT)) == said
    assert undated(said) == said


def test_each_night_has_one_line() -> None:
    """The line of the night before goes; without a time, there is none."""
    later = (NIGHT + timedelta(days=1)).astimezone(timezone(timedelta(hours=5)))
    assert dated(dated("Orders", NIGHT), later) == "Orders\n\nAs of 2026-11-29 02:00:03 UTC (nightly-etl)"
    assert dated(dated("Orders", NIGHT), None) == "Orders"
    assert dated(LINE, None) is None


def test_the_line_is_known_to_the_query_that_puts_comments_back() -> None:
    """Its pattern is that of Python, in PostgreSQL's words for the beginning and the end."""
    pattern = as_of._LINE.pattern.replace(r"(?:\A|", "(^|").replace(r"\Z", "$")
    assert pattern in target_query("attachments").decode()
    assert re.match(as_of._LINE, LINE)
