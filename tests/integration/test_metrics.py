"""Metrics: one log line a table has them, if the settings ask for metrics."""

from __future__ import annotations

from tests.harness import Databases, Etl


def test_each_table_s_line_carries_its_metrics(databases: Databases, etl: Etl) -> None:
    """The lines of the loaded and of the failed table have them; the number of lines does not change."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT 1 AS id; CREATE VIEW broken AS SELECT 1 / (random() * 0)::int AS x"
    )
    done = etl("run", TABLES="orders,broken", ETL_METRICS_NAMESPACE="Shop", ETL_METRICS_DIMENSIONS="table,team=data")
    assert done.status == 1
    for event, table, failures in (("table.loaded", "public.orders", 0), ("table.failed", "public.broken", 1)):
        line = done.event(event)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("Shop", [["table", "team"]])
        assert (line["table"], line["team"], line["failures"]) == (table, "data", failures)
        assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])


def test_without_a_namespace_there_are_none(databases: Databases, etl: Etl) -> None:
    """Off by default: each metric costs money."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    assert "_aws" not in etl("run", TABLES="orders").stdout
