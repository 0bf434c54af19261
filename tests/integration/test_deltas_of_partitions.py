"""Nights that copy only what has changed, of partitioned tables: what is true of one table is true leaf by leaf."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from etl.sessions.query import target_query
from etl.sessions.stage import Stage
from tests.faults.breaker import Breaker, Moment
from tests.harness import Database, Databases, Etl
from tests.integration.test_deltas import Night, Sessions
from tests.releases import cuts_tables
from tests.situations import ended, settled

ORDERS = """
CREATE TABLE orders (id int, day int, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE one PARTITION OF orders FOR VALUES FROM (0) TO (100);
CREATE TABLE two (note text, gone text, day int NOT NULL, id int NOT NULL);
ALTER TABLE two DROP COLUMN gone;
ALTER TABLE orders ATTACH PARTITION two FOR VALUES FROM (100) TO (200);
CREATE TABLE more PARTITION OF orders FOR VALUES FROM (200) TO (600) PARTITION BY RANGE (day);
CREATE TABLE three PARTITION OF more FOR VALUES FROM (200) TO (300);
CREATE TABLE four PARTITION OF more FOR VALUES FROM (300) TO (400);
INSERT INTO orders SELECT g, g % 400, 'note ' || g FROM generate_series(1, 800) g;
CREATE TABLE five (id int NOT NULL, day int NOT NULL, note text);
INSERT INTO five SELECT g, 500, 'five ' || g FROM generate_series(1, 20) g;
"""
"""Columns of ``two`` have other numbers. The rows of ``five`` are as old as the others, and it is no partition yet."""

ATTACH = "ALTER TABLE more ATTACH PARTITION five FOR VALUES FROM (500) TO (600)"


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Night:
    """A table with four leaves that was copied once, with ``load`` auto."""
    databases.operational.execute(ORDERS)
    settled(databases.operational)
    one = Night(databases, Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "orders"}))
    one.passes("full")
    return one


LEAF_BY_LEAF = {
    "nothing": ("", "no row has changed"),
    "rows of some leaves": (
        "UPDATE orders SET note = 'x' WHERE id < 4; DELETE FROM orders WHERE id IN (101, 301)",
        "3 rows changed and 2 gone",
    ),
    "rows move to other leaves": (
        "UPDATE orders SET day = day + 100 WHERE id IN (5, 205)",
        "2 rows changed and 2 gone",
    ),
    "old rows come as a leaf, and as many are deleted": (
        f"{ATTACH}; DELETE FROM orders WHERE id BETWEEN 600 AND 619",
        "20 rows changed and 20 gone",
    ),
    "a leaf goes": ("ALTER TABLE more DETACH PARTITION five", "0 rows changed and 20 gone"),
    "it comes again with other rows and some less": (
        f"UPDATE five SET note = 'y' WHERE id < 3; DELETE FROM five WHERE id > 15; {ATTACH}",
        "15 rows changed and 0 gone",
    ),
    "it was away between two nights, and has other rows": (
        f"ALTER TABLE more DETACH PARTITION five; UPDATE five SET note = 'z' WHERE id < 3;"
        f"DELETE FROM five WHERE id = 9; {ATTACH}",
        "2 rows changed and 1 gone",
    ),
    "it was away, and its old rows have another default": (
        "ALTER TABLE more DETACH PARTITION five; ALTER TABLE five DROP COLUMN note;"
        f"ALTER TABLE five ADD COLUMN note text DEFAULT 'old'; {ATTACH}",
        "14 rows changed and 0 gone",
    ),
    "another leaf has its name": (
        "ALTER TABLE more DETACH PARTITION five; ALTER TABLE five RENAME TO was;"
        f"CREATE TABLE five (LIKE was INCLUDING ALL); INSERT INTO five SELECT * FROM was WHERE id < 12; {ATTACH}",
        "10 rows changed and 4 gone",
    ),
    "the old one comes back": (
        "ALTER TABLE more DETACH PARTITION five; ALTER TABLE more ATTACH PARTITION was FOR VALUES FROM (500) TO (600)",
        "14 rows changed and 0 gone",
    ),
    "two leaves exchange their names": (
        "ALTER TABLE three RENAME TO third; ALTER TABLE four RENAME TO three; ALTER TABLE third RENAME TO four;"
        "UPDATE three SET note = 'v' WHERE id = 301",
        "no row has changed",
    ),
    "a leaf is truncated, and its old rows come back": (
        "CREATE TABLE f AS TABLE four; TRUNCATE four; INSERT INTO four TABLE f; DELETE FROM four WHERE id < 210",
        "",
    ),
}
"""What happens between two nights, and what the load after it says. One night builds on the other."""


def test_each_leaf_s_rows_are_told_by_their_own_base(night: Night) -> None:
    """No leaf is taken for another; a leaf that the base does not have is copied whole, one that is gone is deleted."""
    night.tells(LEAF_BY_LEAF)
    night.both.operational.execute("ALTER TABLE orders ADD COLUMN more int DEFAULT 3")
    assert "the definition of the table" in night.passes("full").event("table.loaded")["reason"]


def test_a_partitioned_table_that_came_in_page_ranges_is_a_base(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """The leaves are those that were cut (or, from a release before 14, read whole); a later one is copied whole."""
    options = tmp_path / "options.toml"
    options.write_text("[orders]\nsplit = 6")
    databases.operational.execute(ORDERS)
    settled(databases.operational)
    variables = {"ETL_LOAD": "auto", "TABLES": "orders", "ETL_OPTIONS_FILE": str(options)}
    night = Night(databases, Etl(etl.environment | variables))
    assert (night.passes("full").event("table.loaded")["ranges"] > 3) == cuts_tables()
    night.both.operational.execute(f"{ATTACH}; DELETE FROM orders WHERE id BETWEEN 600 AND 619")
    assert "20 rows changed and 20 gone" in night.passes("delta").event("table.loaded")["reason"]


OBSTACLES = {
    "an unlogged leaf": ("ALTER TABLE four SET UNLOGGED", "its partition four is unlogged"),
    "a leaf of another kind": (
        "CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler;"
        "CREATE TABLE pile (LIKE five) USING pile;"
        "ALTER TABLE more ATTACH PARTITION pile FOR VALUES FROM (500) TO (600)",
        "its partition pile has the access method pile",
    ),
    "a key that not all leaves have": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE ONLY orders ADD PRIMARY KEY (id, day)",
        "not all partitions have the index of a key yet",
    ),
    "no key": ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", "no primary key or unique constraint"),
}


def test_a_partitioned_table_whose_rows_xmin_does_not_tell_is_loaded_whole(night: Night) -> None:
    """The load says which leaf it is."""
    for what, (statements, reason) in OBSTACLES.items():
        night.both.operational.execute("DROP TABLE IF EXISTS orders, five;" + ORDERS + statements)
        assert reason in night.passes("full").event("table.loaded")["reason"], what


def test_a_foreign_leaf_is_an_obstacle(databases: Databases) -> None:
    """The rows of another server have no xmin. No wrapper here can read any, so the catalog alone is asked."""
    source = databases.operational
    source.execute(
        "CREATE FOREIGN DATA WRAPPER none; CREATE SERVER nowhere FOREIGN DATA WRAPPER none;"
        "CREATE TABLE far (id int) PARTITION BY LIST (id);"
        "CREATE FOREIGN TABLE far_1 PARTITION OF far FOR VALUES IN (1) SERVER nowhere"
    )
    with source.connect() as session:
        oids = {"oids": [source.value("SELECT 'far'::regclass::oid::int8")]}
        found = session.execute(target_query("definitions"), oids).fetchall()
    assert [row[1] for row in found] == ["its partition far_1 is a foreign table"]


FULL, DELTA = (
    "COMMENT ON TABLE orders IS 'new'",
    "DELETE FROM orders WHERE id BETWEEN 600 AND 619; UPDATE four SET day = day",
)
HELD = {
    "a full load is to read": (FULL, Stage.JOIN, "full", 820, "20 rows changed and 20 gone"),
    "a full load reads": (FULL, Stage.COPY_OUT, "full", 820, "20 rows changed and 20 gone"),
    "a delta is to be counted": (DELTA, Stage.COUNT, "delta", 800, "0 rows changed and 20 gone"),
    "a delta was counted": (DELTA, Stage.COPY_OUT, "delta", 780, "20 rows changed and 20 gone"),
}
"""Changes, the statement before which the leaf comes, the load, its rows, and what the next night's load says."""


@pytest.mark.parametrize("moment", HELD)
def test_a_leaf_that_is_attached_while_the_rows_are_read(night: Night, moment: str) -> None:
    """It appears within the snapshot, and the load knows whether it has read it. As many rows go by the next night."""
    changes, stage, load, rows, said = HELD[moment]
    source = night.both.operational
    with Breaker(source).running() as breaker:
        night.etl = Etl(night.etl.environment | {"ETL_OPERATIONAL_URL": breaker.url})
        source.execute(changes)
        breaker.arm(Moment(moment, "operational", stage))
        with night.etl.started("run") as run:
            assert breaker.reached.wait(60), "the run did not come to the statement"
            source.execute(ATTACH)
            breaker.release()
            done = ended(run)
        loaded = done.event("table.loaded")
        assert (done.status, loaded["load"], loaded["rows"]) == (0, load, rows), done.stderr
        assert night.both.reporting.value("SELECT count(*) FROM orders") == rows
        source.execute("DELETE FROM orders WHERE id BETWEEN 500 AND 519")
        assert said in night.passes("delta").event("table.loaded")["reason"]


def test_a_leaf_that_goes_before_it_is_read_is_not_in_the_base(night: Night) -> None:
    """The catalog showed it, but it was below a partition that came after the run's locks, so it could go."""
    source = night.both.operational
    with Breaker(source).running() as breaker:
        night.etl = Etl(night.etl.environment | {"ETL_OPERATIONAL_URL": breaker.url})
        source.execute(f"{FULL}; CREATE TABLE late (LIKE five) PARTITION BY RANGE (day)")
        breaker.arm(Moment("before the snapshot", "operational", Stage.SNAPSHOT))
        with night.etl.started("run") as run:
            assert breaker.reached.wait(60)
            source.execute(f"{LATE}; ALTER TABLE more ATTACH PARTITION late FOR VALUES FROM (500) TO (600)")
            held = breaker.held
            breaker.arm(Moment("before the rows are read", "operational", Stage.JOIN))
            assert held is not None
            held.open.set()
            assert breaker.reached.wait(60)
            source.execute("ALTER TABLE late DETACH PARTITION five")
            breaker.release()
            done = ended(run)
        assert (done.status, done.event("table.loaded")["rows"]) == (0, 800), done.stderr
        source.execute(f"{LATE}; DELETE FROM orders WHERE id BETWEEN 600 AND 619")
        assert "20 rows changed and 20 gone" in night.passes("delta").event("table.loaded")["reason"]


LATE = "ALTER TABLE late ATTACH PARTITION five FOR VALUES FROM (500) TO (600)"


def test_random_nights_leave_both_sides_equal(night: Night) -> None:
    """Writers, moved rows, leaves that come, go, are made again and are emptied, beside VACUUM FREEZE."""
    random = Random(1919)

    def day(number: int, sessions: Sessions) -> None:
        for _ in range(random.randint(1, 4)):
            disturb(random, night.both.operational, sessions, number)

    said = night.lives_through(16, day)
    assert [one for one in said if one["load"] == "full" and "rows have changed" not in one["reason"]] == []
    assert [one["load"] for one in said].count("delta") > 8


def disturb(random: Random, source: Database, sessions: Sessions, number: int) -> None:
    """Does one thing to the partitions that may happen between two nights, if no open transaction is in its way."""
    some = f"id % {random.randint(20, 60)} = {random.randint(0, 5)}"
    new = f"SELECT {number} * 1000 + g, {random.randint(0, 399)}, 'new' FROM generate_series(1, 20) g"
    leaf = random.choice(["three", "four"])
    bounds = {"three": "FROM (200) TO (300)", "four": "FROM (300) TO (400)"}[leaf]
    detach, attach = (
        f"ALTER TABLE more DETACH PARTITION {leaf}",
        f"ALTER TABLE more ATTACH PARTITION {leaf} FOR VALUES {bounds}",
    )
    statements = [
        f"INSERT INTO orders {new} ON CONFLICT DO NOTHING",
        f"UPDATE orders SET note = 'n{number}' WHERE {some}",
        f"DELETE FROM orders WHERE {some}",
        f"UPDATE orders SET day = (day + 100) % 400 WHERE {some}",
        f"UPDATE orders SET id = id + 100000 WHERE id = {random.randint(1, 800)}",
        "VACUUM FREEZE orders",
        f"VACUUM FULL {leaf}",
        f"BEGIN; CREATE TEMP TABLE o AS TABLE {leaf}; TRUNCATE {leaf}; INSERT INTO orders TABLE o; COMMIT",
        f"{detach}; UPDATE {leaf} SET note = 'away' WHERE {some}; DELETE FROM {leaf} WHERE id % 40 = 1; {attach}",
        f"{detach}; ALTER TABLE {leaf} DROP note; ALTER TABLE {leaf} ADD note text DEFAULT 'n{number}'; {attach}",
        f"{detach}; CREATE TABLE o AS TABLE {leaf}; DROP TABLE {leaf}; CREATE TABLE {leaf} PARTITION OF more FOR VALUES"
        f" {bounds}; INSERT INTO {leaf} SELECT id, day, note FROM o WHERE NOT {some}; DROP TABLE o",
        f"{ATTACH}; DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE day < 400 LIMIT 20)",
        "ALTER TABLE more DETACH PARTITION five",
        "ALTER TABLE more DETACH PARTITION five CONCURRENTLY",  # an open transaction leaves it pending
        "ALTER TABLE more DETACH PARTITION five FINALIZE",
    ]
    match random.randint(0, 9):
        case 0:
            session = psycopg.connect(source.url, options="-c lock_timeout=50ms")
            session.execute(f"INSERT INTO orders {new} ON CONFLICT DO NOTHING".encode())
            sessions.append(session)
        case 1 | 2 if sessions:
            session = sessions.pop(0)
            (session.commit if random.random() < 0.7 else session.rollback)()
            session.close()
        case _:
            with suppress(psycopg.Error), source.connect(options="-c lock_timeout=50ms") as connection:
                connection.execute(random.choice(statements).encode())
