"""Nights that copy only what has changed: the live table equals the source, and the load says what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import psycopg
import pytest

from tests.harness import Database, Databases, Done, Etl

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz DEFAULT now());
INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 500) g;
"""


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Iterator[Night]:
    """A table of orders that was copied once, with ``load`` auto."""
    databases.operational.execute(ORDERS)
    one = Night(databases, Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "orders"}))
    assert one.passes("full").event("table.loaded")["reason"] == "it has not been published with a base before"
    yield one


class Night:
    """Runs of one table, each compared with its source."""

    def __init__(self, both: Databases, etl: Etl) -> None:
        self.both, self.etl = both, etl

    def passes(self, load: str, *others: str, **variables: str) -> Done:
        """A run that succeeds, with a load of this kind, after which both sides are equal."""
        done = self.etl("run", **variables)
        assert (done.status, done.stderr) == (0, "")
        said = done.event("table.loaded")
        assert said["load"] in {load, *others}, said
        assert self.rows(self.both.reporting) == self.rows(self.both.operational)
        assert self.both.staging_tables() == []
        return done

    def rows(self, database: Database) -> list[tuple[Any, ...]]:
        """All rows of the table, as bytes."""
        return database.rows("SELECT md5(orders::text), orders::text FROM orders ORDER BY 1, 2")

    def loads(self) -> list[tuple[Any, ...]]:
        """What the ledger has of the last load."""
        return self.both.reporting.rows(
            "SELECT load, rows, reason FROM etl.loads WHERE status = 'published' ORDER BY published_at DESC LIMIT 1"
        )


def test_a_night_without_a_change_copies_nothing(night: Night) -> None:
    """The load is unchanged, no row of the live table is written, and its rows are still counted."""
    before = night.both.reporting.rows("SELECT ctid, xmin, id FROM orders")
    done = night.passes("unchanged")
    assert done.event("table.loaded")["bytes"] == 0
    assert night.loads() == [("unchanged", 500, "no row has changed")]
    assert night.both.reporting.rows("SELECT ctid, xmin, id FROM orders") == before
    night.passes("unchanged")


def test_changed_new_and_deleted_rows_are_all_that_is_written(night: Night) -> None:
    """The oid and the unchanged rows of the live table stay; the ledger says how many rows changed."""
    oid = night.both.reporting.value("SELECT 'orders'::regclass::oid")
    kept = "SELECT ctid, xmin, id FROM orders WHERE id NOT IN (3, 7) ORDER BY id"
    before = night.both.reporting.rows(kept)
    night.both.operational.execute(
        "UPDATE orders SET note = 'new' WHERE id = 3; DELETE FROM orders WHERE id = 7;"
        "INSERT INTO orders VALUES (501, 'more'); UPDATE orders SET id = 600 WHERE id = 9"
    )
    night.passes("delta")
    assert night.loads() == [("delta", 500, "3 rows changed and 2 gone, 1 % of 500")]
    assert night.both.reporting.value("SELECT 'orders'::regclass::oid") == oid
    after = [row for row in night.both.reporting.rows(kept) if row[2] not in {501, 600}]
    assert after == [row for row in before if row[2] != 9]
    night.passes("unchanged")


def test_random_nights_leave_both_sides_equal(night: Night) -> None:
    """Writers with open and prepared transactions, savepoints, VACUUM FREEZE, TRUNCATE and rewrites beside the runs."""
    random = Random(19)
    source = night.both.operational
    sessions: list[psycopg.Connection[Any]] = []
    for number in range(25):
        for _ in range(random.randint(0, 4)):
            disturb(random, source, sessions, number)
        night.passes("delta", "unchanged", "full")
    for session in sessions:
        session.close()
    kinds = dict(night.both.reporting.rows("SELECT load, count(*) FROM etl.loads GROUP BY 1"))
    assert kinds["delta"] > 5


def disturb(random: Random, source: Database, sessions: list[psycopg.Connection[Any]], number: int) -> None:
    """Does one thing to the source that may happen between two nights; not what an open transaction is in the way of."""
    some = f"id % {random.randint(20, 60)} = {random.randint(0, 5)}"
    fresh = f"SELECT {number} * 100000 + {random.randint(1, 9)} * 1000 + g, 'fresh' FROM generate_series(1, 3) g"
    insert = f"INSERT INTO orders (id, note) {fresh} ON CONFLICT DO NOTHING"
    statements = [
        insert,
        f"UPDATE orders SET note = 'n{number}' WHERE {some}",
        f"DELETE FROM orders WHERE {some}",
        f"UPDATE orders SET id = -id - {number} WHERE id = (SELECT max(id) FROM orders)",
        "VACUUM FREEZE orders",
        "VACUUM FULL orders",
        f"BEGIN; SAVEPOINT a; {insert}; RELEASE a; SAVEPOINT b; DELETE FROM orders; ROLLBACK TO b; COMMIT",
        "BEGIN; CREATE TEMP TABLE o AS TABLE orders; TRUNCATE orders; INSERT INTO orders SELECT * FROM o; COMMIT",
        "ALTER TABLE orders ADD COLUMN IF NOT EXISTS more int DEFAULT 5; UPDATE orders SET more = 6 WHERE id % 50 = 0",
        "CREATE TABLE IF NOT EXISTS elsewhere (id int); INSERT INTO elsewhere VALUES (1)",
    ]
    match random.randint(0, 9):
        case 0:
            session = psycopg.connect(source.url, options="-c lock_timeout=50ms")
            session.execute(f"{insert}".encode())
            with suppress(psycopg.errors.LockNotAvailable), session.transaction():
                session.execute(f"UPDATE orders SET note = 'late' WHERE id = {random.randint(1, 400)}".encode())
            sessions.append(session)
        case 1 | 2 if sessions:
            session = sessions.pop(0)
            (session.commit if random.random() < 0.7 else session.rollback)()
            session.close()
        case _:
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
                with source.connect(options="-c lock_timeout=50ms") as connection:
                    connection.execute(random.choice(statements).encode())
