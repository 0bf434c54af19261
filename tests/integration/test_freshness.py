"""The view ``etl.freshness``: as of when each live table is, for each role that may read the table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness import Databases, Etl
from tests.lambda_runtime import function
from tests.situations import make_shop

COLUMNS = "run_id, load, rows, changed_rows, last_run_failed, failed_run_id, note, retired_at IS NOT NULL AS retired"


@pytest.fixture
def shop(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night with two tables that may be loaded by their changes, and one without a key."""
    make_shop(databases)
    assert etl("run", TABLES="orders,customers,log", ETL_RUN_ID="first").status == 0
    return etl


def seen(databases: Databases, columns: str = COLUMNS) -> dict[str, tuple[Any, ...]]:
    """The rows of the view, by table."""
    rows = databases.reporting.rows(f"SELECT table_name, {columns} FROM etl.freshness ORDER BY 1")
    return {row[0]: tuple(row[1:]) for row in rows}


def as_of(databases: Databases) -> dict[str, datetime]:
    """As of when each table is."""
    return {name: at for name, (at,) in seen(databases, "as_of").items()}


def snapshot(databases: Databases, run_id: str) -> datetime:
    """The time of a run's snapshot."""
    at: datetime = databases.reporting.value(f"SELECT snapshot_at FROM etl.runs WHERE run_id = '{run_id}'")
    return at


@pytest.mark.parametrize("way", ["auto", "swap", "merge", "mixed"])
def test_each_publish_moves_each_of_its_tables_on(databases: Databases, shop: Etl, way: str) -> None:
    """A changed table, one of which no row has changed, and one without a key: all are as of the run's snapshot."""
    assert set(as_of(databases).values()) == {snapshot(databases, "first")}
    assert seen(databases)["orders"] == ("first", "full", 90, None, False, None, None, False)
    databases.operational.execute("UPDATE orders SET total = 0 WHERE id <= 3; DELETE FROM orders WHERE id = 90")
    done = shop("run", TABLES="orders,customers,log", ETL_RUN_ID="second", ETL_PUBLISH_WAY=way)
    assert (done.status, done.stderr) == (0, "")
    assert set(as_of(databases).values()) == {snapshot(databases, "second")}
    rows = seen(databases)
    assert rows["customers"][:4] == ("second", "unchanged", 9, 0)
    assert rows["orders"][:4] in {("second", "delta", 89, 4), ("second", "full", 89, None)}
    ((staleness, published),) = databases.reporting.rows(
        "SELECT staleness, published_at FROM etl.freshness WHERE table_name = 'orders'"
    )
    assert 0 < staleness.total_seconds() < 600
    assert published > snapshot(databases, "second")


def test_a_deferred_publish_is_seen_when_it_is_done(databases: Databases, shop: Etl) -> None:
    """The staged tables of the run are nobody's yet; then the tables are as of the snapshot, not of the publish."""
    assert shop("run", TABLES="orders,customers", ETL_RUN_ID="second", ETL_PUBLISH="defer").status == 0
    assert set(as_of(databases).values()) == {snapshot(databases, "first")}
    assert shop("publish", "second").status == 0
    first, second = snapshot(databases, "first"), snapshot(databases, "second")
    assert as_of(databases) == {"orders": second, "customers": second, "log": first}


def test_a_stopped_run_is_told_and_let_pass(databases: Databases, shop: Etl) -> None:
    """The gate stops the run: the tables are as of the night before, and their last run has failed."""
    databases.operational.execute("DELETE FROM orders")
    assert shop("run", TABLES="orders,customers", ETL_RUN_ID="second", ETL_LOAD="full").status == 1
    rows = seen(databases)
    assert rows["orders"][4:6] == rows["customers"][4:6] == (True, "second")
    assert rows["log"][4:6] == (False, None)
    assert set(as_of(databases).values()) == {snapshot(databases, "first")}
    assert shop("publish", "second", "--anyway", "--reason", "a sale").status == 0
    assert seen(databases)["orders"] == ("second", "full", 0, None, False, None, None, False)


def test_a_failed_run_is_told_without_its_error(databases: Databases, shop: Etl) -> None:
    """All tables of the run were not refreshed, whichever of them failed; the next publish is a success again."""
    databases.reporting.execute("ALTER TABLE log ADD CONSTRAINT short CHECK (length(line) < 10)")
    databases.operational.execute("INSERT INTO log VALUES ('a secret of a row')")
    assert shop("run", TABLES="orders,log", ETL_RUN_ID="second").status == 1
    rows = seen(databases)
    assert {name: row[4:6] for name, row in rows.items()} == {
        "orders": (True, "second"),
        "log": (True, "second"),
        "customers": (False, None),
    }
    assert "secret" not in str(databases.reporting.rows("SELECT * FROM etl.freshness"))
    databases.operational.execute("DELETE FROM log WHERE line LIKE '%secret%'")
    assert shop("run", TABLES="orders,log", ETL_RUN_ID="third").status == 0
    assert not any(row[4] for row in seen(databases).values())


def test_a_table_that_left_tables_stands_still(databases: Databases, shop: Etl) -> None:
    """It is as of its last night, and its staleness grows."""
    assert shop("run", TABLES="orders", ETL_RUN_ID="second").status == 0
    first, second = snapshot(databases, "first"), snapshot(databases, "second")
    assert as_of(databases) == {"orders": second, "customers": first, "log": first}


def test_a_batch_moves_its_table_on(databases: Databases, shop: Etl) -> None:
    """As of the batch's snapshot, with the rows of the batch; a run that copies the table is newer again."""
    with function("etl.functions.copy_batch", shop.environment) as copy:
        assert copy.invoke({"table": "orders", "last_id": 0, "limit": 40})["rows"] == 40
    assert seen(databases)["orders"] == (None, "batch", None, 40, False, None, None, False)
    assert as_of(databases)["orders"] > snapshot(databases, "first")
    assert shop("run", TABLES="orders", ETL_RUN_ID="second").status == 0
    assert seen(databases)["orders"][:3] == ("second", "unchanged", 90)


def test_renamed_and_dropped_tables_are_shown_as_they_are(databases: Databases, shop: Etl) -> None:
    """A renamed table under its new name, and not a stranger that has the old one; a dropped table not at all."""
    databases.reporting.execute(
        "ALTER TABLE orders RENAME TO orders_2025; CREATE TABLE orders (id int);"
        "ALTER TABLE log RENAME TO old_log; DROP TABLE customers; CREATE TABLE customers (id int)"
    )
    first = snapshot(databases, "first")
    assert as_of(databases) == {"orders_2025": first, "old_log": first}
    databases.reporting.execute("DROP TABLE orders; ALTER INDEX orders_pkey RENAME TO orders_2025_pkey")
    assert shop("run", TABLES="orders", ETL_RUN_ID="second").status == 0
    assert as_of(databases) == {"orders": snapshot(databases, "second"), "orders_2025": first, "old_log": first}


def test_a_restored_target_knows_its_tables_by_name(databases: Databases, shop: Etl) -> None:
    """Other oids, another database: a table that may be loaded by its changes is known, whatever has its old oid."""
    databases.reporting.execute(
        "CREATE TABLE new (LIKE orders); DROP TABLE orders; ALTER TABLE new RENAME TO orders;"
        'UPDATE etl.loads SET live_state = live_state || \'{"database": "7 5"}\','
        " live_oid = 'customers'::regclass::oid WHERE table_name = 'public.orders';"
        'UPDATE etl.loads SET live_state = live_state || \'{"database": "7 5"}\','
        " live_oid = 'orders'::regclass::oid WHERE table_name = 'public.customers'"
    )
    assert {name: row[2] for name, row in seen(databases).items()} == {"orders": 90, "customers": 9, "log": 1}


NOTED = '[orders]\nnote = "Sales; ask María"\n'


def test_the_note_of_the_options_is_there(databases: Databases, shop: Etl, tmp_path: Path) -> None:
    """It comes with the next load, also of an unchanged table, and goes with it."""
    file = tmp_path / "options.toml"
    file.write_text(NOTED, encoding="utf-8")
    assert shop("run", TABLES="orders,log", ETL_RUN_ID="second", ETL_OPTIONS_FILE=str(file)).status == 0
    assert {name: row[6] for name, row in seen(databases).items()} == {
        "orders": "Sales; ask María",
        "customers": None,
        "log": None,
    }
    assert seen(databases)["orders"][1] == "unchanged"
    (run,) = json.loads(shop("history", "second", "--json").stdout)
    assert [load["note"] for load in run["loads"] if load["table_name"] == "public.orders"] == ["Sales; ask María"]
    assert shop("run", TABLES="orders", ETL_RUN_ID="third").status == 0
    assert seen(databases)["orders"][6] is None


def test_a_night_of_an_older_version_is_told(databases: Databases, shop: Etl) -> None:
    """It leaves the columns empty that it does not know; its run and its times are there."""
    assert shop("run", TABLES="orders", ETL_RUN_ID="second", ETL_LOAD="full").status == 0
    databases.reporting.execute(
        "UPDATE etl.loads SET load = NULL, live_state = NULL, base = NULL, rows_changed = NULL, note = NULL"
        " WHERE run_id = 'second'"
    )
    assert seen(databases)["orders"] == ("second", "full", 90, None, False, None, None, False)
    assert as_of(databases)["orders"] == snapshot(databases, "second")


def test_a_reader_of_one_table_uses_the_indexes_of_the_ledger(databases: Databases, shop: Etl) -> None:
    """A year of nights of many tables would otherwise be read for each table."""
    with databases.reporting.connect() as connection:
        connection.execute("SET enable_seqscan = off")
        lines = connection.execute("EXPLAIN SELECT * FROM etl.freshness WHERE table_name = 'orders'").fetchall()
    plan = "\n".join(line for (line,) in lines)
    assert "loads_by_oid" in plan
    assert "loads_by_live" in plan
    assert "Seq Scan on loads" not in plan


# who may see what


@pytest.fixture
def analyst(databases: Databases, shop: Etl) -> Any:
    """A role that may read ``orders``, a column of ``customers``, and nothing else."""
    databases.reporting.execute(
        "DROP ROLE IF EXISTS freshness_analyst; CREATE ROLE freshness_analyst LOGIN;"
        "GRANT USAGE ON SCHEMA public TO freshness_analyst;"
        "GRANT SELECT ON orders TO freshness_analyst; GRANT SELECT (id) ON customers TO freshness_analyst"
    )
    with databases.reporting.connect(user="freshness_analyst") as connection:
        yield connection
    databases.reporting.execute("DROP OWNED BY freshness_analyst; DROP ROLE freshness_analyst")


def test_a_reader_sees_the_tables_that_he_may_read(databases: Databases, analyst: psycopg.Connection) -> None:
    """Neither the names of the others, nor how many rows a table has of which row security hides some."""
    rows = "SELECT table_name, rows, as_of IS NOT NULL FROM etl.freshness ORDER BY 1"
    assert analyst.execute(rows).fetchall() == [("customers", 9, True), ("orders", 90, True)]
    databases.reporting.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert analyst.execute(rows).fetchall() == [("customers", 9, True), ("orders", None, True)]
    databases.reporting.execute("REVOKE USAGE ON SCHEMA public FROM freshness_analyst, PUBLIC")
    assert analyst.execute(rows).fetchall() == []


def test_the_ledger_itself_stays_private(analyst: psycopg.Connection) -> None:
    """The view reads it with its owner's rights; no reader gets at it, nor at the rows behind the view's filter."""
    analyst.autocommit = True
    for table in ("runs", "loads", "watermarks", "validations"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute(f"SELECT FROM etl.{table}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute("CREATE TABLE etl.mine (id int)")
    analyst.execute(
        "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END$$"
    )
    leaked: list[str] = []
    analyst.add_notice_handler(lambda notice: leaked.append(str(notice.message_primary)))
    analyst.execute("SELECT * FROM etl.freshness WHERE pg_temp.leak(table_name)")
    assert sorted(set(leaked)) == ["leaked customers", "leaked orders"]


def test_default_privileges_do_not_open_the_ledger(databases: Databases, etl: Etl) -> None:
    """They meant nothing without USAGE on the schema; who had it keeps what he could read."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    databases.reporting.execute(
        "DROP ROLE IF EXISTS freshness_all, freshness_ops;"
        "CREATE ROLE freshness_all LOGIN; CREATE ROLE freshness_ops LOGIN"
    )
    try:
        assert etl("run", TABLES="orders").status == 0
        databases.reporting.execute(
            "REVOKE USAGE ON SCHEMA etl FROM PUBLIC; DROP VIEW etl.freshness;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA etl TO freshness_all; GRANT SELECT ON etl.runs TO PUBLIC;"
            "GRANT USAGE ON SCHEMA etl TO freshness_ops; GRANT SELECT ON etl.loads TO freshness_ops;"
            "DROP TABLE etl.validations"
        )
        assert etl("run", TABLES="orders").status == 0
        may = "SELECT has_table_privilege('{}', 'etl.{}', 'SELECT')"
        rights = {
            (role, name): databases.reporting.value(may.format(role, name))
            for role in ("freshness_all", "freshness_ops")
            for name in ("runs", "loads", "validations", "freshness")
        }
        assert {key for key, has in rights.items() if has} == {
            ("freshness_all", "freshness"),
            ("freshness_ops", "freshness"),
            ("freshness_ops", "runs"),
            ("freshness_ops", "loads"),
        }
        databases.reporting.execute("REVOKE SELECT ON etl.freshness FROM PUBLIC")
        assert etl("run", TABLES="orders").status == 0
        assert not databases.reporting.value(may.format("freshness_all", "freshness")), "what is revoked stays revoked"
    finally:
        databases.reporting.execute(
            "DROP OWNED BY freshness_all, freshness_ops; DROP ROLE freshness_all, freshness_ops"
        )


# new and existing ledgers


def test_a_later_versions_view_stays_and_an_earlier_ones_is_replaced(databases: Databases, shop: Etl) -> None:
    """The comment on the view has the number of its definition."""
    number = "SELECT obj_description('etl.freshness'::regclass, 'pg_class') LIKE '%(view 1 of the ledger)'"
    assert databases.reporting.value(number)
    databases.reporting.execute("COMMENT ON VIEW etl.freshness IS '… (view 99 of the ledger)'")
    assert shop("run", TABLES="orders").status == 0
    assert not databases.reporting.value(number)
    databases.reporting.execute("COMMENT ON VIEW etl.freshness IS '… (view 0 of the ledger)'")
    assert shop("run", TABLES="orders").status == 0
    assert databases.reporting.value(number)


def test_a_view_that_cannot_be_made_fails_no_night(databases: Databases, shop: Etl) -> None:
    """The log says why, and the next night tries again."""
    databases.reporting.execute("DROP VIEW etl.freshness; CREATE TABLE etl.freshness (id int)")
    done = shop("run", TABLES="orders")
    assert done.status == 0
    assert "freshness" in done.event("view.not_made")["error"]
    databases.reporting.execute("DROP TABLE etl.freshness")
    assert shop("run", TABLES="orders").status == 0
    assert {at.tzinfo is not None and at < datetime.now(UTC) for at in as_of(databases).values()} == {True}
