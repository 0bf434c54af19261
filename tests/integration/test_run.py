"""``etl run``, end to end, on two real servers."""

from __future__ import annotations

from tests.harness import Databases, Etl


def test_a_run_copies_the_tables_that_it_was_given(databases: Databases, etl: Etl) -> None:
    """Rows, in the tables named, and nothing else; the run and its loads stand in the ledger."""
    databases.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, NULL);"
        "CREATE TABLE other (id int)"
    )
    done = etl("run", TABLES="orders", ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT * FROM orders ORDER BY id") == [(1, "a"), (2, None)]
    assert databases.reporting.value("SELECT to_regclass('other') IS NULL")
    assert done.event("table.loaded")["rows"] == 2
    assert done.event("run.published")["tables"] == 1
    assert databases.reporting.rows("SELECT run_id, status, tables, rows FROM etl.runs") == [
        ("tonight", "published", 1, 2)
    ]
    assert databases.reporting.rows("SELECT table_name, status, rows FROM etl.loads") == [
        ("public.orders", "published", 2)
    ]
    assert databases.staging_tables() == []
