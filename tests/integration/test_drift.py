"""Columns that changed at the source are followed, and the log says what changed."""

from __future__ import annotations

import pytest

from tests.harness import Databases, Etl
from tests.mirror import assert_same


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE items ADD more text, ADD other int DEFAULT 3", "added more, other"),
        ("ALTER TABLE items DROP note", "dropped note"),
        ("ALTER TABLE items ALTER id TYPE bigint", "retyped id (integer to bigint)"),
        ("ALTER TABLE items ALTER price TYPE numeric(9,3)", "retyped price (numeric(8,2) to numeric(9,3))"),
        ("ALTER TABLE items RENAME note TO remark", "renamed note to remark"),
        (
            "ALTER TABLE items RENAME TO was; CREATE TABLE items AS SELECT note, id, price FROM was; DROP TABLE was",
            "reordered",
        ),
        ("ALTER TABLE items DROP price, ADD price text", "retyped price (numeric(8,2) to text)"),
        ("ALTER TABLE items DROP id, DROP price, DROP note", "dropped id, note, price"),
        ("INSERT INTO items VALUES (2)", None),
    ],
)
def test_changed_columns_are_followed_and_said(databases: Databases, etl: Etl, change: str, said: str | None) -> None:
    """table.drifted is logged once; the rows are the source's, and the third night logs nothing."""
    databases.operational.execute(
        "CREATE TABLE items (id int, note text, price numeric(8,2)); INSERT INTO items VALUES (1, 'a', 1.50)"
    )
    first = etl("run", TABLES="items")
    assert not [event for event in first.events if event["event"] == "table.drifted"]
    databases.operational.execute(change)
    second = etl("run", TABLES="items", ETL_VERIFY="checksum")
    assert second.stderr == ""
    drifted = [(event["table"], event["changes"]) for event in second.events if event["event"] == "table.drifted"]
    assert drifted == ([("public.items", said)] if said else [])
    assert_same(databases.operational, databases.reporting, ["items"])
    third = etl("run", TABLES="items")
    assert not [event for event in third.events if event["event"] == "table.drifted"]
