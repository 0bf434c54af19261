"""Columns that changed at the source are followed, and the log says what changed."""

from __future__ import annotations

import json
from typing import Any

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
    """table.drifted is logged once, and the ledger has it; the rows are the source's, and the third night has none."""
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
    assert [load["drift"] for load in loads(etl)] == [None, said, None]


BAD = "CREATE OR REPLACE VIEW bad AS SELECT 1 AS id"


def test_the_drift_of_a_load_that_fails_is_in_the_ledger_until_it_is_repeated(databases: Databases, etl: Etl) -> None:
    """That of a load in the same run, too, which was staged; a run of the same id begins without it."""
    databases.operational.execute(f"{BAD}; CREATE TABLE items AS SELECT 1 AS id")
    tonight = etl.having(TABLES="bad,items", ETL_RUN_ID="tonight")
    assert etl("run", TABLES="bad,items", ETL_RUN_ID="yesterday").status == 0
    databases.operational.execute(f"{BAD}, 1 / (random() * 0)::int AS broken; ALTER TABLE items ADD more text")
    assert tonight("run").status == 1
    drift = {load["table_name"]: (load["status"], load["drift"]) for load in loads(etl, "tonight")}
    assert drift == {"public.bad": ("failed", "added broken"), "public.items": ("failed", "added more")}
    databases.operational.execute(f"DROP VIEW bad; {BAD}; ALTER TABLE items DROP more")
    assert tonight("run").status == 0
    assert [load["drift"] for load in loads(etl, "tonight")] == [None, None]


def test_a_drift_has_no_secret_in_the_ledger(databases: Databases, etl: Etl) -> None:
    """A column may have the name of one."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    kept = etl.having(TABLES="items", ETL_MASK_KEY="a_key_of_many_letters_and_no_digit")
    assert kept("run").status == 0
    databases.operational.execute("ALTER TABLE items ADD a_key_of_many_letters_and_no_digit int")
    done = kept("run")
    assert (done.status, done.event("table.drifted")["changes"]) == (0, "added ***")
    assert [load["drift"] for load in loads(etl)] == [None, "added ***"]


def loads(etl: Etl, *arguments: str) -> list[dict[str, Any]]:
    """What ``etl history`` tells of the loads, in the order in which they began."""
    done = etl("history", "--json", *arguments)
    assert done.status == 0, done.stderr
    found = [load for run in json.loads(done.stdout) for load in run["loads"]]
    return sorted(found, key=lambda load: str(load["started_at"]))
