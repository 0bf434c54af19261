"""Logs have the lines that the contract promises, and no secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from etl.logs import log
from etl.model.redaction import Redactor


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_json_and_begins_as_the_contract_says(capsys: pytest.CaptureFixture[str]) -> None:
    """timestamp, level, event, run_id, and then the event's own fields."""
    log.configure("json", "info")
    log.bind(run_id="tonight")
    structlog.get_logger().info("table.loaded", table="öffentlich.☃", rows=1)
    out, err = capsys.readouterr()
    line = json.loads(out)
    assert list(line) == ["timestamp", "level", "event", "run_id", "table", "rows"]
    assert (line["event"], line["table"], err) == ("table.loaded", "öffentlich.☃", "")
    assert "☃" in out


def test_errors_are_told_on_standard_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error has plain text that names the table; the JSON line is still written."""
    log.configure("json", "info")
    structlog.get_logger().error("table.failed", table="public.orders", error="no")
    out, err = capsys.readouterr()
    assert err == "etl: table.failed public.orders: no\n"
    assert json.loads(out)["error"] == "no"


def test_a_level_hides_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    """With ETL_LOG_LEVEL=error only errors appear."""
    log.configure("json", "error")
    structlog.get_logger().warning("x")
    assert capsys.readouterr().out == ""


@given(st.text(min_size=3), st.text(), st.text())
def test_no_text_keeps_a_secret(secret: str, before: str, after: str) -> None:
    """The position of the secret in the text does not matter."""
    assert secret not in Redactor([secret])(f"{before}:{secret}:{after}").replace("***", "\0")


def test_secrets_are_taken_out_of_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """On both streams, with and without quotes and backslashes in the secret."""
    secret = 's3"c\\r3t'
    log.configure("json", "info", Redactor([secret]))
    structlog.get_logger().error("table.failed", table=f"a{secret}", error=f"password {secret} is wrong")
    out, err = capsys.readouterr()
    assert json.loads(out)["error"] == "password *** is wrong"
    assert "r3t" not in out + err


def test_short_secrets_do_not_take_the_sense_away() -> None:
    """To redact a password of one letter would make every line unreadable."""
    assert Redactor(["o"])("public.orders") == "public.orders"


@given(st.text())
def test_what_is_printable_does_nothing_to_a_terminal(text: str) -> None:
    """No escape sequence remains, and text without one stays as it is."""
    shown = log.printable(text)
    assert shown == log.printable(shown)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\u2028\u2029]", shown)
    assert len(shown.splitlines()) <= 1
    assert shown == text or not text.isprintable()


def test_escape_sequences_in_names_are_spelt_out_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON line has them too, in JSON's notation."""
    log.configure("json", "info")
    structlog.get_logger().error(
        "table.failed", table="public.\x1b[2Jgone\netl: all is well", error="\x9b31mred \u202eback"
    )
    out, err = capsys.readouterr()
    assert err == "etl: table.failed public.\\x1b[2Jgone\\netl: all is well: \\x9b31mred \\u202eback\n"
    assert "\x1b" not in out
    assert json.loads(out)["table"] == "public.\x1b[2Jgone\netl: all is well"
