"""The ways of publishing a whole run, ETL_PUBLISH_WAY, and the readers for whom it waits, ETL_READERS."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Database, Databases, Done, Etl
from tests.situations import settled

TABLES = """
CREATE TABLE first (id int PRIMARY KEY, night int);
CREATE TABLE second (id int PRIMARY KEY, night int);
INSERT INTO first SELECT g, 1 FROM generate_series(1, 500) g;
INSERT INTO second TABLE first
"""

CHANGE = "UPDATE first SET night = 2 WHERE id = 1"


@pytest.fixture
def auto(databases: Databases, etl: Etl) -> Etl:
    """Two tables that were copied once with ETL_LOAD=auto, of which a row of the first has changed since."""
    databases.operational.execute(TABLES)
    settled(databases.operational)
    run = Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "first,second"})
    assert run("run").status == 0
    databases.operational.execute(CHANGE)
    return run


def oids(database: Database) -> list[int]:
    return [database.value(f"SELECT '{name}'::regclass::oid") for name in ("first", "second")]


def loads(done: Done) -> list[dict[str, Any]]:
    return [event for event in done.events if event["event"] == "table.loaded"]


def test_by_swap_a_changed_table_is_loaded_whole_and_an_unchanged_one_stays(auto: Etl, databases: Databases) -> None:
    """A table whose rows are the same belongs to both nights."""
    before = oids(databases.reporting)
    done = auto("run", ETL_PUBLISH_WAY="swap")
    assert (done.status, done.stderr) == (0, "")
    said = {one["table"]: (one["load"], one["reason"]) for one in loads(done)}
    assert said == {
        "public.first": ("full", "rows have changed, and the run publishes by swap"),
        "public.second": ("unchanged", "no row has changed"),
    }
    after = oids(databases.reporting)
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert databases.reporting.rows("SELECT * FROM first ORDER BY 1") == databases.operational.rows(
        "SELECT * FROM first ORDER BY 1"
    )


def test_merged_tables_that_were_loaded_whole_stay_too(auto: Etl, databases: Databases) -> None:
    """An older snapshot sees yesterday in both, although one of them was loaded whole."""
    databases.operational.execute("ALTER TABLE second ADD CHECK (night > 0); UPDATE second SET night = 2 WHERE id = 1")
    before = oids(databases.reporting)
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = auto("run", ETL_PUBLISH_WAY="merge")
        assert (done.status, done.stderr) == (0, "")
        assert {one["table"]: one["load"] for one in loads(done)} == {
            "public.first": "delta",
            "public.second": "full",
        }
        both = b"SELECT first.night, second.night FROM first JOIN second USING (id) WHERE id = 1"
        assert report.execute(both).fetchall() == [(1, 1)]
        report.execute("COMMIT")
        assert report.execute(both).fetchall() == [(2, 2)]
    assert oids(databases.reporting) == before


def test_changes_are_not_published_by_a_run_that_swaps(auto: Etl) -> None:
    """They were staged in another way, and only a merge can publish them."""
    assert auto("run", ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    refused = auto("publish", "one", ETL_PUBLISH_WAY="swap")
    assert refused.status == 1
    assert "ETL_PUBLISH_WAY is swap, and run one has staged the changes of public.first alone" in refused.stderr
    assert auto("publish", "one").status == 0


def test_with_readers_by_statement_a_merge_waits_for_no_transaction(auto: Etl, databases: Databases) -> None:
    """A READ COMMITTED transaction then sees both nights; without that setting the publish waits for it."""
    with databases.reporting.connect() as report:
        report.execute("BEGIN")
        assert report.execute("SELECT night FROM first WHERE id = 1").fetchall() == [(1,)]
        waits = auto("run", ETL_PUBLISH_DEADLINE="1")
        assert waits.status == 1
        assert f"held by pid {report.info.backend_pid}" in waits.stderr
        done = auto("run", ETL_READERS="statement", ETL_PUBLISH_DEADLINE="1")
        assert (done.status, done.stderr) == (0, "")
        assert report.execute("SELECT night FROM first WHERE id = 1").fetchall() == [(2,)]


def test_changes_that_would_take_too_long_to_merge_are_loaded_whole(auto: Etl, databases: Databases) -> None:
    """The ledger knows how long the last merge took for a row; a table whose changes fit is still merged."""
    databases.operational.execute(
        "UPDATE first SET night = 3; INSERT INTO first SELECT g, 3 FROM generate_series(501, 1600) g"
    )
    settled(databases.operational)
    assert auto("run").status == 0
    databases.operational.execute(
        "UPDATE first SET night = 4 WHERE id <= 1000; UPDATE second SET night = 4 WHERE id = 1"
    )
    assert auto("run").status == 0
    of_first = "SELECT load, rows_changed, rows_deleted, merge_seconds > 0 FROM etl.loads WHERE relation_name = 'first'"
    last = " AND status = 'published' ORDER BY published_at DESC LIMIT 1"
    assert databases.reporting.rows(of_first + last) == [("delta", 1000, 0, True)]
    of_merge = "UPDATE etl.loads SET merge_seconds = 1000, rows_deleted = {} WHERE rows_changed = 1000"
    databases.reporting.execute(of_merge.format(1_000_000))  # the gone rows have taken most of it
    changes = "UPDATE first SET night = 5 WHERE id <= 301; UPDATE second SET night = 5 WHERE id = 1"
    databases.operational.execute(changes)
    assert {one["load"] for one in loads(auto("run"))} == {"delta"}
    databases.reporting.execute(of_merge.format(0))
    databases.operational.execute(changes)
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")
    said = {one["table"]: (one["load"], one["reason"]) for one in loads(done)}
    assert said["public.first"] == (
        "full",
        "301 rows have changed, whose merge would take about 301 s; with other tables that is more than the 300 s of"
        " ETL_MERGE_MAX",
    )
    assert said["public.second"][0] == "delta"
    assert databases.reporting.rows(of_first + last) == [("full", None, None, None)]
    of_long_ago = "UPDATE etl.loads SET published_at = published_at - interval '31 days' WHERE rows_changed = 1000"
    databases.reporting.execute(of_long_ago)
    databases.operational.execute(changes)
    assert {one["load"] for one in loads(auto("run"))} == {"delta"}  # one slow merge does not decide for ever
