"""The second night: the tables of the first one are no obstacle."""

from __future__ import annotations

from tests.harness import Databases, Etl


def test_table_with_a_check_constraint_is_replaced(etl: Etl, databases: Databases) -> None:
    """A check hangs on the columns of its own table, and goes and comes with it."""
    databases.operational.execute(
        "CREATE TABLE items (price numeric CHECK (price > 0), was numeric, CONSTRAINT cheaper CHECK (price < was));"
        "INSERT INTO items VALUES (1, 2)"
    )
    assert etl("run", TABLES="items").status == 0
    databases.operational.execute("INSERT INTO items VALUES (3, 4)")

    second = etl("run", TABLES="items")

    assert second.status == 0, second.stderr
    assert databases.reporting.rows("SELECT price, was FROM items ORDER BY price") == [(1, 2), (3, 4)]
    assert databases.reporting.rows(
        "SELECT conname::text FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c' ORDER BY 1"
    ) == [("cheaper",), ("items_price_check",)]


def test_foreign_key_on_a_live_table_still_stops_the_publish(etl: Etl, databases: Databases) -> None:
    """A constraint of another table is an obstacle that the error names, and the live rows stay."""
    databases.operational.execute("CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (1)")
    assert etl("run", TABLES="items").status == 0
    databases.reporting.execute("CREATE TABLE notes (item integer REFERENCES items)")
    databases.operational.execute("INSERT INTO items VALUES (2)")

    second = etl("run", TABLES="items")

    assert second.status == 1
    assert "notes_item_fkey" in second.stderr
    assert databases.reporting.value("SELECT count(*) FROM items") == 1
