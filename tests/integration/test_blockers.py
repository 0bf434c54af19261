"""Whatever object a swap touches: a session that has locked it is waited for, named and, if asked for, ended."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import psycopg
import pytest
from psycopg import sql

from etl.ledger import book
from etl.model import limits
from etl.model.errors import PublishBlocked
from etl.model.name import TargetName
from etl.publish import attempts, blockers, lock_phase
from etl.publish import publish as publishing
from etl.publish.blockers import Blocker
from etl.publish.policy import Policy
from etl.publish.work import Work
from etl.sessions.postgres import connect_target
from etl.sessions.transaction import at_once
from etl.sessions.url import DatabaseUrl
from etl.target import guard, live
from tests.harness import Database, Databases, Etl
from tests.situations import until

pytestmark = [pytest.mark.whole, pytest.mark.superuser("refers to tables of the reporting side, and ends sessions")]

ITEMS = [TargetName("public", "items")]

LIVE = """
CREATE TABLE groups (id int PRIMARY KEY); CREATE TABLE other (id int); CREATE TABLE log (id int);
CREATE TABLE allowed (id int); INSERT INTO groups VALUES (1); INSERT INTO other VALUES (1);
CREATE SEQUENCE numbers;
CREATE TABLE items (id int PRIMARY KEY DEFAULT nextval('numbers'), note text, of int REFERENCES groups);
ALTER SEQUENCE numbers OWNED BY items.id;
CREATE INDEX by_note ON items (note); CREATE STATISTICS both_columns ON id, note FROM items;
CREATE POLICY old_policy ON items USING (EXISTS (SELECT FROM allowed));
CREATE RULE logged AS ON DELETE TO items DO ALSO INSERT INTO log VALUES (1);
GRANT SELECT ON items TO PUBLIC; GRANT SELECT (id) ON items TO PUBLIC;
CREATE VIEW seen AS SELECT id, note FROM items;
CREATE FUNCTION others() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.other';
CREATE MATERIALIZED VIEW late AS SELECT i.id, o.id AS other, others() FROM items i, other o
"""

STAGED = """
CREATE SCHEMA etl_staging_public;
CREATE TABLE etl_staging_public.items (id int PRIMARY KEY, note text, of int);
INSERT INTO etl_staging_public.items VALUES (1, 'today', 1);
CREATE INDEX by_note ON etl_staging_public.items (note);
CREATE STATISTICS etl_staging_public.both_columns ON id, note FROM etl_staging_public.items;
INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('tonight', 'running', now(), 'run');
INSERT INTO etl.loads (run_id, status, staging_oid, table_name, schema_name, relation_name, carried)
VALUES ('tonight', 'staged', 'etl_staging_public.items'::regclass, 'public.items', 'public', 'items', '{items_pkey}'),
       ('before', 'published', NULL, 'public.items', 'public', 'items', '{items_pkey}')
"""

HELD = {
    "a reader of the table": ("SELECT FROM items", "public.items"),
    "a reader of the staging table": ("SELECT FROM etl_staging_public.items", "etl_staging_public.items"),
    "a reader of a view": ("SELECT FROM seen", "public.seen"),
    "a reader of the table of a foreign key": ("SELECT FROM groups", "public.groups"),
    "a writer of the table of a foreign key": ("UPDATE groups SET id = id", "public.groups"),
    "the table of a foreign key": ("LOCK TABLE groups", "public.groups"),
    "a number of a sequence": ("SELECT nextval('numbers')", "public.numbers"),
    "a sequence": ("ALTER SEQUENCE numbers CACHE 5", "public.numbers"),
    "the table that a rule writes": ("LOCK TABLE log", "public.log"),
    "the table that a policy reads": ("LOCK TABLE allowed", "public.allowed"),
    "the table that a view reads": ("LOCK TABLE other", "public.other"),
    "statistics": ("ALTER STATISTICS both_columns SET STATISTICS 7", "public.items"),
    "an index": ("ALTER INDEX by_note SET (fillfactor = 70)", "public.by_note"),
    "privileges": ("GRANT UPDATE ON items TO PUBLIC", "public.items"),
    "privileges on a column": ("GRANT UPDATE (id) ON items TO PUBLIC", "public.items"),
    "privileges on the row type": ("GRANT USAGE ON TYPE items TO PUBLIC", "public.items"),
}
"""What another session has done in its open transaction, and the relation that the message names."""


@pytest.fixture
def target(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database; pauses between attempts are short."""
    monkeypatch.setattr(limits, "PUBLISH_PAUSE_SECONDS", (0.01, 0.03))
    return databases.reporting


async def publish(database: Database, **policy: object) -> publishing.Published:
    """Publishes the staged table."""
    connect = partial(connect_target, DatabaseUrl.parse(database.url), guard.application("tonight"))
    async with await connect() as session:
        return await publishing.publish(session, "tonight", ITEMS, Policy(**policy), connect)  # type: ignore[arg-type]


async def stage(database: Database) -> None:
    """Makes a live table with all that may hang on it, and a staging table with the rows of today."""
    async with await connect_target(DatabaseUrl.parse(database.url), "test") as session:
        await book.ensure(session)
    database.execute(f"{LIVE}; {STAGED}")


@pytest.mark.parametrize("kind", HELD)
async def test_a_session_that_holds_what_the_swap_touches_is_named_and_ended(target: Database, kind: str) -> None:
    """Its pid and the relation are in the error; with ETL_PUBLISH_BLOCKERS=end the publish ends it and succeeds."""
    await stage(target)
    statement, relation = HELD[kind]
    with target.connect(application_name="other") as session:
        session.execute(f"BEGIN; {statement}".encode())
        with pytest.raises(PublishBlocked) as raised:
            await publish(target, deadline=0.2)
        assert f"pid {session.info.backend_pid} (postgres, other) on {relation} since" in str(raised.value)
        assert (await publish(target, deadline=0.2, ends_blockers=True)).tables == 1
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT")
    assert target.rows("SELECT note FROM items") == [("today",)]


async def test_a_parallel_query_is_named_once_and_ended(target: Database) -> None:
    """By its session: its workers hold the same locks, and would crowd the others out of the message."""
    await stage(target)
    with target.connect(application_name="other") as session:
        forced = "debug_parallel_query" if session.info.server_version >= 160000 else "force_parallel_mode"
        session.execute(f"SET {forced} = on".encode())
        session.pgconn.send_query(b"SELECT pg_sleep(60) FROM groups")
        workers = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND wait_event = 'PgSleep'"
        )
        until(lambda: target.value(workers), "a worker reads the table")
        with pytest.raises(PublishBlocked) as raised:
            await publish(target, deadline=0.2)
        assert str(raised.value).count("pid ") == 1
        assert f"pid {session.info.backend_pid} (postgres, other) on public.groups" in str(raised.value)
        assert (await publish(target, deadline=0.2, ends_blockers=True)).tables == 1
        session.close()


def test_a_session_that_may_not_be_ended_is_named_with_the_reason(databases: Databases, etl: Etl) -> None:
    """The others are ended all the same; the error is the publish's, and not the server's about a process."""
    target = databases.reporting
    target.execute(
        "CREATE ROLE loader LOGIN IN ROLE pg_signal_backend, pg_read_all_stats; CREATE ROLE ada LOGIN;"
        f"GRANT ALL ON SCHEMA public TO loader; ALTER DATABASE {target.name} OWNER TO loader"
    )
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    etl = Etl(etl.environment | {"ETL_REPORTING_URL": target.server.url(target.name, "loader")})
    assert etl("run", TABLES="items").status == 0
    target.execute("GRANT SELECT ON items TO ada")
    with target.connect(application_name="boss") as boss, target.connect(user="ada") as ada:
        boss.execute("BEGIN; SELECT FROM items")
        ada.execute("BEGIN; SELECT FROM items")
        done = etl("run", TABLES="items", ETL_PUBLISH_DEADLINE="1", ETL_PUBLISH_BLOCKERS="end")
        pid = boss.info.backend_pid
        assert (done.status, done.event("publish.ended_blocker")["user"]) == (1, "ada")
        assert done.event("publish.not_ended")["pid"] == pid
        assert "held by pid " in done.stderr
        assert f"pid {pid} could not be ended: permission denied to terminate process" in done.stderr
        boss.execute("COMMIT")
        with pytest.raises(psycopg.OperationalError):
            ada.execute("SELECT")


def test_a_process_of_the_server_is_named_as_one() -> None:
    """Autovacuum has no user and no application; to end it is of no use, because the server starts it again."""
    one = Blocker(7, None, None, "", None, True, "public.items", None, False, "autovacuum worker", True)
    assert str(one) == "pid 7 (autovacuum worker, to prevent wraparound) on public.items"
    assert one.is_of_server
    hidden = replace(one, process=None, prevents_wraparound=False)
    assert str(hidden) == "pid 7 (a process of the server, such as autovacuum) on public.items"


async def test_a_lock_that_does_not_conflict_is_left_alone(target: Database) -> None:
    """A session that only reads a sequence, or a table that a view reads, is neither waited for nor ended."""
    await stage(target)
    with target.connect() as session:
        session.execute("BEGIN; SELECT FROM numbers; SELECT FROM other; SELECT FROM allowed; UPDATE log SET id = 2")
        assert (await publish(target, deadline=0.2, ends_blockers=True)).attempts == 1
        session.execute("COMMIT")


async def test_readers_of_a_table_in_place_are_neither_named_nor_ended(target: Database) -> None:
    """A merge waits for writers only."""
    await stage(target)
    async with await connect_target(DatabaseUrl.parse(target.url), "test") as session:
        with target.connect() as reader, target.connect() as writer:
            reader.execute(
                "BEGIN; SELECT FROM items; SELECT FROM groups; CREATE TEMPORARY VIEW mine AS SELECT FROM items"
            )
            writer.execute("BEGIN; SELECT FROM items FOR UPDATE")
            pids = {one.pid for one in await blockers.found(session, ITEMS, readers=False)}
            assert pids == {writer.info.backend_pid}
            both = {one.pid for one in await blockers.found(session, ITEMS)}
            assert both == {reader.info.backend_pid, writer.info.backend_pid}  # those for whom a swap waits
            await blockers.end(session, ITEMS, readers=False)
            with pytest.raises(psycopg.OperationalError):
                writer.execute("SELECT")
            reader.execute("COMMIT")


async def test_the_last_blocker_that_was_seen_is_named(target: Database) -> None:
    """Also if its session is gone when the deadline has passed."""
    async with await connect_target(DatabaseUrl.parse(target.url), "test") as session:
        work = Work(session, "tonight", ITEMS, Policy(), [], lambda *_: None)
        seen = ["pid 7 (ada, report) on public.items"]
        error = await attempts.blocked(work, ITEMS, 2, psycopg.errors.LockNotAvailable("timeout"), seen)
        assert str(error).endswith("nothing was published; last held by pid 7 (ada, report) on public.items")
        error = await attempts.blocked(work, ITEMS, 2, psycopg.errors.LockNotAvailable("timeout"))
        assert str(error).endswith("nothing was published; the server said: timeout")


async def test_a_lock_phase_that_takes_too_long_by_itself_says_so(
    target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No session is to blame; the error has the number of objects and the time."""
    await stage(target)
    target.execute(
        "DO $$ BEGIN FOR i IN 1..200 LOOP"
        " EXECUTE format('CREATE VIEW v%s AS SELECT id FROM items', i); END LOOP; END $$"
    )
    monkeypatch.setattr(limits, "PUBLISH_LOCK_PHASE_MS", 1)
    monkeypatch.setattr(limits, "PUBLISH_LOCK_OBJECT_MS", 0)
    with pytest.raises(PublishBlocked) as raised:
        await publish(target, deadline=0.2)
    assert "no session held them, but it took longer than 0.001 s to lock 203 tables and views" in str(raised.value)


async def test_locks_are_waited_for_only_within_the_deadlock_timeout_of_the_server(target: Database) -> None:
    """A quarter of it a lock, and none from half of it on: no reader is ended for a deadlock with the publish."""
    target.execute("CREATE TABLE items (id int)")
    async with await connect_target(DatabaseUrl.parse(target.url), "test", deadlock_timeout="80ms") as session:
        (items,) = await live.objects(session, ITEMS)
        async with session.transaction():
            patience = await lock_phase.end_vacuums(session, [items])
        for slept, expected in ((0, "20ms"), (0.05, "1ms")):
            slow = sql.SQL(f"SELECT pg_sleep({slept})")
            said = await at_once(session, [patience.timeouts(1), slow, patience.check, sql.SQL("SHOW lock_timeout")])
            assert await said.fetchone() == {"lock_timeout": expected}


TEMPORARY = {
    "a view": ("CREATE TEMPORARY VIEW mine AS SELECT id FROM items", "view {}.mine"),
    "a view on a view": ("CREATE TEMPORARY VIEW mine AS SELECT id FROM seen", "view {}.mine"),
    "a table with a column of the row type": ("CREATE TEMPORARY TABLE mine (x items)", "table {}.mine"),
    "a table that inherits": ("CREATE TEMPORARY TABLE mine () INHERITS (items)", "table {}.mine"),
    "a function": ("CREATE FUNCTION pg_temp.mine(items) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function {}.mine("),
    "a type": ("CREATE DOMAIN pg_temp.mine AS items[]", "type {}.mine"),
}
"""What another session has made, and how the message names it; {} is its temporary schema."""


@pytest.mark.parametrize("kind", TEMPORARY)
async def test_a_temporary_object_of_another_session_is_waited_for_like_a_reader(target: Database, kind: str) -> None:
    """The idle session is named, or ended if asked for; nobody who reads has to wait, and no schema is left."""
    await stage(target)
    statement, what = TEMPORARY[kind]
    with target.connect(application_name="other") as session:
        session.execute(statement.encode())
        row = session.execute("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()").fetchone()
        assert row is not None
        with pytest.raises(PublishBlocked) as raised:
            await publish(target, deadline=0.2)
        assert f"pid {session.info.backend_pid} (postgres, other) on {what.format(row[0])}" in str(raised.value)
        assert (await publish(target, deadline=0.2, ends_blockers=True)).tables == 1
    assert target.rows("SELECT note FROM items") == [("today",)]
    assert not target.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'etl%pg_temp%'")


def test_check_notes_temporary_objects(databases: Databases, etl: Etl) -> None:
    """They are no obstacle: they end with their session."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    assert etl("run", TABLES="items").status == 0
    with databases.reporting.connect() as session:
        session.execute("CREATE TEMPORARY VIEW mine AS SELECT id FROM items")
        done = etl("check", TABLES="items")
        pid = session.info.backend_pid
    assert (done.status, done.stderr) == (0, "")
    assert f".mine of pid {pid} depends on a live table; a publish waits for it" in done.stdout
