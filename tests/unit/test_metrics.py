"""Metrics in CloudWatch's embedded metric format: which lines have them, and which values CloudWatch refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from etl.logs import log
from etl.logs.metrics import Metrics, dimensions, namespace
from etl.model import limits


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def said(capsys: pytest.CaptureFixture[str], event: str, **fields: object) -> dict[str, Any]:
    """The log line of an event, with metrics for each table in each deployment."""
    log.configure("json", "info", metrics=Metrics("NightlyEtl", dimensions("deployment=prod, table")))
    structlog.get_logger().info(event, **fields)
    line: dict[str, Any] = json.loads(capsys.readouterr().out)
    return line


def test_a_loaded_table_s_line_carries_its_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    """The line has a member for each metric and each dimension that the directive names."""
    line = said(capsys, "table.loaded", table="public.orders", rows=7, seconds=1.5)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("NightlyEtl", [["deployment", "table"]])
    assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == {
        "rows": "Count",
        "seconds": "Seconds",
        "failures": "Count",
    }
    assert [line[name] for name in ("rows", "seconds", "failures", "deployment", "table")] == [
        7,
        1.5,
        0,
        "prod",
        "public.orders",
    ]
    assert list(line)[:3] == ["timestamp", "level", "event"]


def test_a_failed_table_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """The line has failures = 1, and no other metric."""
    line = said(capsys, "table.failed", table="public.orders", error="no")
    assert line["failures"] == 1
    assert [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]] == ["failures"]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("run.finished", {"rows": 7, "seconds": 1.5}),
        ("table.loaded", {"table": "public.größe", "rows": 7}),
        ("table.failed", {"table": "public.orders", "error": "x" * limits.METRICS_LINE_BYTES}),
    ],
    ids=["another event", "a name that is not ASCII", "a line that the log driver would cut"],
)
def test_what_cloudwatch_would_not_take_stays_a_log_line(
    capsys: pytest.CaptureFixture[str], event: str, fields: dict[str, object]
) -> None:
    """The line is whole, but has no metrics."""
    line = said(capsys, event, **fields)
    assert "_aws" not in line
    assert all(line[name] == value for name, value in fields.items())


@pytest.mark.parametrize(
    "text", ["", "run_id", "table,,x=1", "table=x", "rows=1", "a b=1", "x=", "x=\t", "x=é", "job=x"]
)
def test_a_dimension_that_would_not_do_is_refused(text: str) -> None:
    """A dimension is the table, or has the same value on every line."""
    with pytest.raises(ValueError, match="write table, job, and name=value"):
        dimensions(text)


@pytest.mark.parametrize("text", ["", "AWS/Etl", "Nightly Etl", "x" * 256])
def test_a_namespace_that_cloudwatch_refuses_is_refused(text: str) -> None:
    """Namespaces that begin with AWS/ are reserved."""
    with pytest.raises(ValueError, match="not beginning with AWS/"):
        namespace(text)


def test_a_job_is_in_the_line_and_a_dimension_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """By default it is a property, which costs nothing; as a dimension, each job with each table is a metric."""
    for text, wanted in (("table", ["table"]), ("deployment=prod,job,table", ["deployment", "job", "table"])):
        log.configure("json", "info", metrics=Metrics("NightlyEtl", dimensions(text)))
        log.bind(run_id="acme-1", job="acme")
        structlog.get_logger().info("table.loaded", table="public.orders", rows=7)
        line = json.loads(capsys.readouterr().out)
        assert (line["job"], line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) == ("acme", [wanted])
        assert list(line)[:5] == ["timestamp", "level", "event", "run_id", "job"]


def test_more_dimensions_than_cloudwatch_takes_are_refused() -> None:
    """Thirty are taken."""
    names = [f"d{number}=x" for number in range(limits.MOST_DIMENSIONS)]
    assert len(dimensions(",".join(names))) == 30
    with pytest.raises(ValueError, match="has 31 dimensions; CloudWatch takes 30, so take some out"):
        dimensions(",".join([*names, "table"]))
