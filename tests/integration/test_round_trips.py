"""What a tiny table costs: round trips, counted on both sides, the same for each table; and plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.model.name import TargetName
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import live
from tests.harness import Databases, Etl
from tests.recorder import Recorder
from tests.releases import tells_recovery
from tests.situations import settled

SOURCE_TRIPS = 3
"""Join the snapshot and lock; COPY; COMMIT."""

TARGET_TRIPS = 7
"""Make the table; COPY, its rows; COMMIT; indexes and a look at the live table; ANALYZE, and is the run still wanted;
the ledger and COMMIT."""

UNCHANGED_SOURCE_TRIPS = 4
"""Join the snapshot and lock; count the changed rows; COMMIT; is the definition still the same."""

UNCHANGED_TARGET_TRIPS = 3
"""Is the live table as it was left; is the run still wanted; the ledger and COMMIT."""

RUN_SOURCE_TRIPS = 30
"""But for the load: two sessions, of which one finds the tables and holds the snapshot; the catalog (twice: for the
obstacles, before the snapshot), and what the columns, indexes and checks name."""

RUN_TARGET_TRIPS = 74
"""But for the load: two sessions; locks, ledger, what earlier runs left and what they masked, untrusted tables; the
obstacles to loads and publish, however many tables; the publish after it, with the inventory of the live tables'
attachments, a look for temporary objects on them, and one for foreign keys to validate. Two are the gate's: what
stopped runs have kept, and the rows of the last publish."""

RUN_OF_CHANGES_SOURCE_TRIPS, RUN_OF_CHANGES_TARGET_TRIPS = 7, 42
"""What a run of changes takes more: the definitions, the history, is its WAL flushed; whether rows can be merged, and
the role may make what that needs; and the publish by merging, which asks the former again under its locks."""

STANDBY_TRIPS = 2
"""Is a table unlogged, which a standby cannot read? Only of a server that may be one."""

VIEW_TRIPS = 4
"""BEGIN; its definition; create it in staging; COMMIT."""

SQL_SOURCE_TRIPS = 15
"""What options with SQL add to a run: another session, which locks and describes; the holder, which locks, too."""

PLAN_SOURCE_TRIPS = 4
"""What each table with SQL adds: its SELECT is planned in a savepoint, to tell which option is at fault."""


def trips(databases: Databases, etl: Etl, tables: str) -> tuple[int, int]:
    """The round trips of a run, on the source and on the target."""
    with Recorder(databases.operational).running() as source, Recorder(databases.reporting).running() as target:
        urls = {"ETL_OPERATIONAL_URL": source.url, "ETL_REPORTING_URL": target.url}
        done = etl("run", TABLES=tables, ETL_JOBS="1", **urls)
        assert (done.status, done.stderr) == (0, "")
        return source.trips, target.trips


@pytest.mark.whole
@pytest.mark.parametrize("night", ["first", "second"])
def test_a_tiny_table_takes_ten_round_trips(databases: Databases, etl: Etl, night: str) -> None:
    """Whatever indexes, constraints and comments it has, and however many tables there are; the publish is apart."""
    databases.operational.execute(
        "DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format("
        "'CREATE TABLE t%s (id int PRIMARY KEY, name text UNIQUE, CHECK (id > 0)); CREATE INDEX ON t%1$s (name, id);"
        " COMMENT ON TABLE t%1$s IS ''mine''; COMMENT ON COLUMN t%1$s.id IS ''mine'';"
        " INSERT INTO t%1$s SELECT g, g FROM generate_series(1, 10) g', i); END LOOP; END $$"
    )
    databases.operational.execute("CREATE TABLE other (id int)")
    assert etl("run", TABLES="other" if night == "first" else "t*").status == 0  # the ledger and its schemas are there
    few = trips(databases, etl, "t1,t2,t3,t4,t5,t6,t7,t8,t9,t10")
    many = trips(databases, etl, "t*")
    source, target = ((more - less) / 20 for more, less in zip(many, few, strict=True))
    assert source == SOURCE_TRIPS
    assert TARGET_TRIPS <= target < TARGET_TRIPS + 0.5  # every other second the run looks whether it was given up


@pytest.mark.parametrize("proofs", [0, 1])
def test_an_unchanged_tiny_table_takes_fewer_round_trips_than_a_full_load(
    databases: Databases, etl: Etl, tmp_path: Path, proofs: int
) -> None:
    """However many tables there are: seven, and two more in the night in which all its rows are proven."""
    databases.operational.execute(
        "DO $$ BEGIN FOR i IN 1..30 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text);"
        " INSERT INTO t%1$s SELECT g, g FROM generate_series(1, 10) g', i); END LOOP; END $$"
    )
    (tmp_path / "options.toml").write_text(f"[defaults]\nload = 'auto'\nproof_nights = {proofs}")
    auto = Etl(etl.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")})
    assert auto("run", TABLES="t*").status == 0
    seen = []
    for tables in ("t1,t2,t3,t4,t5,t6,t7,t8,t9,t10", "t*"):
        databases.operational.execute("CHECKPOINT")  # otherwise a run asks again and again whether its WAL is flushed
        seen.append(trips(databases, auto, tables))
    few, many = seen
    loads = databases.reporting.rows("SELECT DISTINCT load, reason FROM etl.loads WHERE load <> 'full'")
    assert loads == [("unchanged", "no row has changed")]
    source, target = ((more - less) / 20 for more, less in zip(many, few, strict=True))
    # besides, every other second the run looks whether it is wanted
    assert (round(source), round(target)) == (UNCHANGED_SOURCE_TRIPS + proofs, UNCHANGED_TARGET_TRIPS + proofs)
    assert source + target < SOURCE_TRIPS + TARGET_TRIPS


@pytest.mark.superuser("has no event trigger, which a run tries out")
def test_a_run_of_changes_takes_few_round_trips_more(databases: Databases, etl: Etl) -> None:
    """And fewer in all, where nothing has changed."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    settled(databases.operational)
    assert etl("run", TABLES="orders").status == 0
    databases.operational.execute("CHECKPOINT")
    source, target = trips(databases, etl, "orders")
    assert databases.reporting.value("SELECT count(*) FROM etl.loads WHERE load = 'unchanged'") == 1
    table = UNCHANGED_SOURCE_TRIPS + 1, UNCHANGED_TARGET_TRIPS + 1  # all rows of a tiny table are proven this night
    assert source - table[0] <= RUN_SOURCE_TRIPS + RUN_OF_CHANGES_SOURCE_TRIPS + (
        0 if tells_recovery() else STANDBY_TRIPS
    )
    assert target - table[1] <= RUN_TARGET_TRIPS + RUN_OF_CHANGES_TARGET_TRIPS


@pytest.mark.whole
@pytest.mark.superuser("has no event trigger, which a run tries out")
def test_a_run_itself_takes_few_round_trips(databases: Databases, etl: Etl) -> None:
    """Each waits for the one before, so over 20 ms they are most of a short run: sessions, locks, publish."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    assert etl("run", TABLES="orders").status == 0  # the ledger and its schemas are there
    source, target = trips(databases, etl, "orders")
    assert source - SOURCE_TRIPS == RUN_SOURCE_TRIPS + (0 if tells_recovery() else STANDBY_TRIPS)
    assert RUN_TARGET_TRIPS <= target - TARGET_TRIPS <= RUN_TARGET_TRIPS + 2  # is the run still wanted, every 2 s


@pytest.mark.whole
def test_a_view_takes_four_round_trips(databases: Databases, etl: Etl) -> None:
    """No query of the publish is asked for each view: with 1,500 views on a table, staging took minutes."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    assert etl("run", TABLES="orders").status == 0
    seen = []
    for last in (10, 30):
        databases.reporting.execute(
            f"DO $$ BEGIN FOR i IN 1..{last} LOOP"
            " EXECUTE format('CREATE OR REPLACE VIEW v%s AS SELECT id FROM orders', i); END LOOP; END $$"
        )
        seen.append(trips(databases, etl, "orders")[1])
    few, many = seen
    assert VIEW_TRIPS <= (many - few) / 20 < VIEW_TRIPS + 0.5  # every other second the run looks whether it is wanted


@pytest.mark.whole
def test_options_with_sql_take_a_few_round_trips_more(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """A reader plans in the message by which it joins; a table without SQL beside them takes what it always did."""
    databases.operational.execute(
        "DO $$ BEGIN FOR i IN 1..4 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$"
    )
    assert etl("run", TABLES="t*").status == 0  # the ledger and its schemas are there
    seen = []
    for with_sql in (0, 1, 3):
        options = "".join(f"[t{n + 1}]\nwhere = 'id > 0'\n" for n in range(with_sql))
        (tmp_path / "options.toml").write_text(options or "[t1]\nverify = 'rows'\n")
        optioned = Etl(etl.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")})
        seen.append(trips(databases, optioned, "t*")[0])
    plain, one, three = seen
    assert one - plain == SQL_SOURCE_TRIPS + PLAN_SOURCE_TRIPS
    assert three - one == 2 * PLAN_SOURCE_TRIPS


async def test_what_hangs_on_a_live_table_is_planned_a_few_times_a_session(databases: Databases) -> None:
    """PostgreSQL plans a prepared query five times, and sees then that a plan for all tables is as good."""
    databases.reporting.execute("CREATE TABLE orders (id int PRIMARY KEY); CREATE INDEX by_id ON orders (id)")
    target = await connect_target(DatabaseUrl.parse(databases.reporting.etl_url, {}), "test")
    try:
        for _ in range(20):
            found = await live.extras(target, TargetName("public", "orders"))
        plans = await (await target.execute("SELECT * FROM pg_catalog.pg_prepared_statements")).fetchone()
    finally:
        await target.close()
    assert [statement.split()[:2] for statement in found] == [["CREATE", "INDEX"], ["ALTER", "TABLE"]]
    assert plans is not None
    if "custom_plans" not in plans:
        pytest.skip("plans are counted from PostgreSQL 14 on; without ETL_TEST_POSTGRES this test runs")
    assert (plans["name"], plans["custom_plans"], plans["generic_plans"]) == ("extras", 5, 15)


async def test_what_hangs_on_a_live_table_is_found_without_reading_all_constraints(databases: Databases) -> None:
    """Each load asks for it, so a query that reads all tables' constraints makes a night quadratic in its tables."""
    databases.reporting.execute(
        "DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$"
    )
    databases.reporting.execute("ANALYZE pg_catalog.pg_constraint")
    target = await connect_target(DatabaseUrl.parse(databases.reporting.etl_url, {}), "test")
    try:
        cursor = await target.execute("EXPLAIN EXECUTE extras('etl_staging_public', 'public', 't7')")
        plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())
    finally:
        await target.close()
    assert "pg_constraint_conrelid_contypid_conname_index" in plan
    assert "Seq Scan on pg_constraint" not in plan
