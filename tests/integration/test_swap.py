"""The statements of a swap, on a real server: what each of them changes, locks and waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from etl.model.name import TargetName
from etl.publish import lock_phase, message
from etl.target.views import Staged
from tests.harness import Database, Databases
from tests.situations import locked, until, waiting
from tests.unit.test_live import ATTACHMENT, TABLE, view

SHOP = """
CREATE SCHEMA etl_staging_public; CREATE SCHEMA etl_stagingold_public;
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int, note text, customer int CONSTRAINT fk REFERENCES customers);
CREATE STATISTICS s ON id, note FROM orders;
CREATE VIEW v2 AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW v3 AS SELECT id FROM v2;
"""


@pytest.fixture
def target(databases: Databases) -> Database:
    """A live table that refers to another one, with statistics of its own and two views."""
    databases.reporting.execute(SHOP)
    return databases.reporting


def text(statements: Iterable[sql.Composable]) -> str:
    return "; ".join(statement.as_string(None) for statement in statements)


def staged(target: Database) -> Staged:
    """What is locked: the table and its views, all of the role that has the session."""
    views = (view(2, 1), replace(view(3, 2), kind="m"))
    owner = str(target.value("SELECT current_user"))
    return Staged("", (TABLE,), tuple(replace(one, owner=owner) for one in views), (), ())


def test_an_old_table_goes_aside_free_of_what_it_refers_to(target: Database) -> None:
    """Nobody else's table is locked when it is dropped later; its statistics go along."""
    old = replace(TABLE, foreign_keys=("fk",), statistics=("s",))
    target.execute(text([*lock_phase.free(old), *message._aside(old)]))
    assert target.rows("SELECT stxnamespace::regnamespace::text, stxname::text FROM pg_statistic_ext") == [
        ("etl_stagingold_public", "s")
    ]
    with locked(target, "customers"), target.connect(options="-c lock_timeout=1s") as session:
        session.execute("DROP TABLE etl_stagingold_public.orders CASCADE")


@pytest.mark.parametrize("is_first", [True, False])
def test_a_new_table_has_no_grants_unless_it_is_the_first(target: Database, is_first: bool) -> None:
    """What default privileges granted on it is revoked where an old table's privileges are reattached."""
    target.execute(
        "DROP TABLE orders CASCADE; CREATE TABLE etl_staging_public.orders (id int, note text);"
        "CREATE STATISTICS etl_staging_public.s ON id, note FROM etl_staging_public.orders;"
        "GRANT SELECT ON etl_staging_public.orders TO PUBLIC"
    )
    new = replace(TABLE, schema="etl_staging_public", statistics=("s",), grantees=(None,))
    target.execute(text(message._move(TargetName("public", "orders"), new, is_first=is_first)))
    granted = "SELECT bool_or(a.grantee = 0) FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'orders'::regclass"
    assert target.value(granted) is is_first
    assert target.value("SELECT stxnamespace::regnamespace::text FROM pg_statistic_ext") == "public"


def test_views_are_locked_before_the_tables_as_their_readers_do(target: Database) -> None:
    """The last view first, because it rests on the others: who waits for one view holds no lock of the table yet."""
    _, locks, *_ = lock_phase.locks([TABLE.full_name], staged(target))

    def lock() -> None:
        with target.connect() as session, session.transaction():
            session.execute(locks.as_string(None).encode())

    locking = threading.Thread(target=lock)
    with locked(target, "v2"):
        target.execute("SELECT 1")
        locking.start()
        until(lambda: waiting(target, "OWNER TO"), "the lock on v2 is waited for")
        (pid,) = waiting(target, "OWNER TO")
        held = f"SELECT relation::regclass::text FROM pg_locks WHERE pid = {pid} AND mode = 'AccessExclusiveLock'"
        assert ("v3",) in target.rows(f"{held} AND granted")
        assert ("orders",) not in target.rows(held)
    locking.join()


def test_a_lock_that_is_not_had_soon_is_given_up_and_later_statements_may_take_their_time(target: Database) -> None:
    """After 100 ms; and no limit is left when the locks are held."""
    timeouts, locks, no_limit, _ = lock_phase.locks([TABLE.full_name], staged(target))
    with locked(target, "orders"), target.connect() as session, pytest.raises(psycopg.errors.LockNotAvailable):
        session.execute(text([timeouts, locks]).encode())
    with target.connect() as session, session.transaction():
        session.execute(text([timeouts, locks, no_limit]).encode())
        assert session.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_second_look_that_differs_stops_the_swap(target: Database) -> None:
    """Somebody has changed what was read before the locks."""
    *_, look = lock_phase.locks([TABLE.full_name], staged(target))
    with target.connect() as session, pytest.raises(psycopg.Error) as raised:
        session.execute(look.as_string(None).encode())
    assert raised.value.sqlstate == "ETL01"


def test_locks_are_asked_for_in_one_statement(target: Database) -> None:
    """statement_timeout counts each statement of a message anew, and must bound them all."""
    block = sql.SQL("BEGIN PERFORM pg_sleep(0.3); PERFORM pg_sleep(0.3); END")
    with target.connect(options="-c statement_timeout=500ms") as session:
        session.execute("SELECT pg_sleep(0.3); SELECT pg_sleep(0.3)")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(lock_phase.as_one(block).as_string(None).encode())


@pytest.mark.superuser("becomes another role")
def test_a_grant_is_made_by_its_grantor(target: Database) -> None:
    """A privilege that a grantee granted is granted by this grantee again; afterwards the session has its own role."""
    target.execute('CREATE ROLE "o""dd"; GRANT SELECT ON orders TO "o""dd" WITH GRANT OPTION')
    try:
        grant = replace(ATTACHMENT, role='o"dd', statement="GRANT SELECT ON public.orders TO PUBLIC")
        with target.connect() as session, session.transaction():
            session.execute(message._reattach(grant).as_string(None).encode())
            assert session.execute("SELECT current_user = session_user").fetchone() == (True,)
        grantors = (
            "SELECT a.grantor::regrole::text FROM pg_class c, aclexplode(c.relacl) a"
            " WHERE c.oid = 'orders'::regclass AND a.grantee = 0"
        )
        assert target.value(grantors) == '"o""dd"'
    finally:
        target.execute('DROP OWNED BY "o""dd" CASCADE; DROP ROLE "o""dd"')
