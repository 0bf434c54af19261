"""A session changes a live table at any moment of a publish: after the publish, the table has the change.

Each change meets the publish in two ways: it is committed before one of the publish's statements, or it is made before
one of them and committed as soon as the publish waits for it. The tests draw the moments at random; with
``ETL_MOMENTS=all`` they take every one.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
import pytest

from etl.ledger import book
from etl.model import limits
from etl.model.errors import EtlError
from etl.model.name import TargetName
from etl.publish import publish as publishing
from etl.publish.policy import Policy
from etl.sessions.postgres import Target, connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import guard
from tests.harness import Database, Databases

pytestmark = [pytest.mark.whole, pytest.mark.superuser("gives what is live to other roles")]

DRAWN = 1
"""The number of random moments for each change and each way."""

ROLES = ("moment_robot", "moment_boss")

LIVE = """
CREATE SCHEMA IF NOT EXISTS moments;
CREATE TABLE items (id int PRIMARY KEY, note text, CONSTRAINT old_check CHECK (id > 0));
INSERT INTO items VALUES (1, 'yesterday');
CREATE INDEX old_index ON items (note);
CREATE STATISTICS old_statistics ON id, note FROM items;
GRANT SELECT, INSERT ON items TO moment_boss;
GRANT UPDATE (note) ON items TO moment_boss;
CREATE POLICY old_policy ON items USING (true);
CREATE TRIGGER old_trigger BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other VALUES (1);
CREATE VIEW seen AS SELECT id, note FROM items;
CREATE MATERIALIZED VIEW kept AS SELECT i.id, o.id AS other FROM items i CROSS JOIN other o;
"""

STAGED = """
CREATE TABLE etl_staging_public.items (id int PRIMARY KEY, note text, CONSTRAINT old_check CHECK (id > 0));
INSERT INTO etl_staging_public.items VALUES (1, 'today'), (2, 'today');
CREATE INDEX old_index ON etl_staging_public.items (note);
CREATE STATISTICS etl_staging_public.old_statistics ON id, note FROM etl_staging_public.items;
INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('tonight', 'running', now(), 'run');
INSERT INTO etl.loads (run_id, status, staging_oid, live_oid, table_name, schema_name, relation_name, carried)
SELECT *, 'public.items', 'public', 'items', '{items_pkey}'::text[]
  FROM (VALUES ('yesterday', 'published', 0::oid, 'items'::regclass::oid),
               ('tonight', 'staged', 'etl_staging_public.items'::regclass, NULL)) AS loads
"""

OWNED = "pg_get_userbyid(relowner) = 'moment_robot' FROM pg_class WHERE oid = '{}'::regclass"

PLACED = (
    "EXISTS (SELECT FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace"
    " WHERE c.oid = '{}'::regclass AND spcname = 'moment_space')"
)

CHANGES = {
    "a view": (
        "CREATE VIEW late AS SELECT id FROM items",
        "(SELECT count(*) FROM late) = (SELECT count(*) FROM items)",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW late AS SELECT id FROM items",
        "(SELECT count(*) FROM late) = (SELECT count(*) FROM items)",
    ),
    "a view on a view": (
        "CREATE VIEW late AS SELECT id FROM seen",
        "(SELECT count(*) FROM late) = (SELECT count(*) FROM items)",
    ),
    "a view made anew": (
        "CREATE OR REPLACE VIEW seen AS SELECT id, note, 1 AS more FROM items",
        "min(more) = 1 FROM seen",
    ),
    "a view that is gone": ("DROP VIEW seen", "to_regclass('seen') IS NULL"),
    "a view by another name": ("ALTER VIEW seen RENAME TO renamed", "count(*) > 0 FROM renamed"),
    "a view's owner": ("ALTER VIEW seen OWNER TO moment_robot", OWNED.format("seen")),
    "a view's options": (
        "ALTER VIEW seen SET (security_barrier)",
        "reloptions::text LIKE '%barrier%' FROM pg_class WHERE oid = 'seen'::regclass",
    ),
    "a view's default": (
        "ALTER VIEW seen ALTER id SET DEFAULT 9",
        "count(*) = 1 FROM pg_attrdef WHERE adrelid = 'seen'::regclass",
    ),
    "a view's trigger": (
        "CREATE TRIGGER t INSTEAD OF UPDATE ON seen FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "count(*) = 1 FROM pg_trigger WHERE tgrelid = 'seen'::regclass",
    ),
    "a view's comment": ("COMMENT ON VIEW seen IS 'late'", "obj_description('seen'::regclass) = 'late'"),
    "a view's privilege": (
        "GRANT SELECT ON seen TO moment_robot",
        "has_table_privilege('moment_robot', 'seen', 'SELECT')",
    ),
    "a materialized view's index": (
        "CREATE INDEX late ON kept (id)",
        "count(*) = 1 FROM pg_index WHERE indrelid = 'kept'::regclass",
    ),
    "a materialized view filled": (
        "INSERT INTO other VALUES (2); REFRESH MATERIALIZED VIEW kept",
        "(SELECT count(*) FROM kept) = (SELECT count(*) FROM items, other)",
    ),
    "a function over its rows": (
        "CREATE FUNCTION late() RETURNS SETOF items LANGUAGE sql AS 'SELECT * FROM public.items'",
        "to_regprocedure('late()') IS NOT NULL",
    ),
    "a function with a bound body": (
        "CREATE FUNCTION late() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM items; END",
        "to_regprocedure('late()') IS NOT NULL",
    ),
    "a column of its row type": (
        "ALTER TABLE other ADD x items",
        "count(*) = 1 FROM pg_attribute WHERE attrelid = 'other'::regclass AND attname = 'x'",
    ),
    "a child with rows": (
        "CREATE TABLE child (extra text) INHERITS (items); INSERT INTO child VALUES (100, 'x', 'precious')",
        "count(*) = 1 FROM child",
    ),
    "a foreign key": (
        "ALTER TABLE other ADD CONSTRAINT late FOREIGN KEY (id) REFERENCES items",
        "confrelid = 'items'::regclass FROM pg_constraint WHERE conname = 'late'",
    ),
    "a foreign key of its own": (
        "ALTER TABLE items ADD CONSTRAINT late FOREIGN KEY (id) REFERENCES other NOT VALID",
        "conrelid = 'items'::regclass FROM pg_constraint WHERE conname = 'late'",
    ),
    "a policy of another table": (
        "CREATE POLICY late ON other AS RESTRICTIVE USING (EXISTS (SELECT FROM items))",
        "count(*) = 1 FROM pg_policy WHERE polname = 'late'",
    ),
    "an index": (
        "CREATE INDEX late ON items (id, note)",
        "indrelid = 'items'::regclass FROM pg_index WHERE indexrelid = 'late'::regclass",
    ),
    "an index that is gone": ("DROP INDEX old_index", "to_regclass('old_index') IS NULL"),
    "an index by another name": (
        "ALTER INDEX old_index RENAME TO late",
        "indrelid = 'items'::regclass FROM pg_index WHERE indexrelid = 'late'::regclass",
    ),
    "an index of that name": (
        "DROP INDEX old_index; CREATE INDEX old_index ON items (id DESC)",
        "pg_get_indexdef('old_index'::regclass) LIKE '%DESC%'",
    ),
    "an index's comment": ("COMMENT ON INDEX old_index IS 'late'", "obj_description('old_index'::regclass) = 'late'"),
    "a key's comment": ("COMMENT ON INDEX items_pkey IS 'late'", "obj_description('items_pkey'::regclass) = 'late'"),
    "a check's comment": (
        "COMMENT ON CONSTRAINT old_check ON items IS 'late'",
        "obj_description(oid, 'pg_constraint') = 'late' FROM pg_constraint WHERE conname = 'old_check'",
    ),
    "a tablespace": ("ALTER TABLE items SET TABLESPACE moment_space", PLACED.format("items")),
    "a key's tablespace": ("ALTER INDEX items_pkey SET TABLESPACE moment_space", PLACED.format("items_pkey")),
    "an index's tablespace": ("ALTER INDEX old_index SET TABLESPACE moment_space", PLACED.format("old_index")),
    "a materialized view's tablespace": (
        "ALTER MATERIALIZED VIEW kept SET TABLESPACE moment_space",
        PLACED.format("kept"),
    ),
    "a check": (
        "ALTER TABLE items ADD CONSTRAINT late CHECK (id < 99)",
        "conrelid = 'items'::regclass FROM pg_constraint WHERE conname = 'late'",
    ),
    "a check that is gone": (
        "ALTER TABLE items DROP CONSTRAINT old_check",
        "count(*) = 0 FROM pg_constraint WHERE conname = 'old_check'",
    ),
    "statistics": (
        "CREATE STATISTICS late ON note, id FROM items",
        "count(*) = 1 FROM pg_statistic_ext WHERE stxname = 'late' AND stxrelid = 'items'::regclass",
    ),
    "statistics of another schema": (
        "CREATE STATISTICS moments.old_statistics ON note, id FROM items",
        "count(*) = 1 FROM pg_statistic_ext WHERE stxnamespace = 'moments'::regnamespace"
        " AND stxname = 'old_statistics' AND stxrelid = 'items'::regclass",
    ),
    "statistics that move": (
        "ALTER STATISTICS old_statistics SET SCHEMA moments",
        "count(*) = 1 FROM pg_statistic_ext WHERE stxnamespace = 'moments'::regnamespace"
        " AND stxname = 'old_statistics' AND stxrelid = 'items'::regclass",
    ),
    "statistics that are gone": ("DROP STATISTICS old_statistics", "count(*) = 0 FROM pg_statistic_ext"),
    "a privilege": ("GRANT SELECT ON items TO moment_robot", "has_table_privilege('moment_robot', 'items', 'SELECT')"),
    "a privilege that is gone": (
        "REVOKE INSERT ON items FROM moment_boss",
        "NOT has_table_privilege('moment_boss', 'items', 'INSERT')",
    ),
    "a column's privilege": (
        "GRANT SELECT (id) ON items TO moment_robot",
        "has_column_privilege('moment_robot', 'items', 'id', 'SELECT')",
    ),
    "a column's comment": ("COMMENT ON COLUMN items.note IS 'late'", "col_description('items'::regclass, 2) = 'late'"),
    "a column's default": (
        "ALTER TABLE items ALTER note SET DEFAULT 'x'",
        "count(*) = 1 FROM pg_attrdef WHERE adrelid = 'items'::regclass",
    ),
    "an owner": ("ALTER TABLE items OWNER TO moment_robot", OWNED.format("items")),
    "row security": (
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
        "relrowsecurity FROM pg_class WHERE oid = 'items'::regclass",
    ),
    "a policy": (
        "CREATE POLICY late ON items USING (id > 0)",
        "count(*) = 2 FROM pg_policy WHERE polrelid = 'items'::regclass",
    ),
    "a policy that is gone": ("DROP POLICY old_policy ON items", "count(*) = 0 FROM pg_policy"),
    "a trigger": (
        "CREATE TRIGGER late AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "count(*) = 1 FROM pg_trigger WHERE tgrelid = 'items'::regclass AND tgname = 'late'",
    ),
    "a trigger that is off": (
        "ALTER TABLE items DISABLE TRIGGER old_trigger",
        "tgenabled = 'D' FROM pg_trigger WHERE tgrelid = 'items'::regclass AND tgname = 'old_trigger'",
    ),
    "a rule": (
        "CREATE RULE late AS ON UPDATE TO items DO ALSO NOTIFY x",
        "count(*) = 1 FROM pg_rewrite WHERE ev_class = 'items'::regclass",
    ),
    "replica identity": (
        "ALTER TABLE items REPLICA IDENTITY FULL",
        "relreplident = 'f' FROM pg_class WHERE oid = 'items'::regclass",
    ),
    "clustering": (
        "ALTER TABLE items CLUSTER ON items_pkey",
        "indisclustered FROM pg_index WHERE indexrelid = 'items_pkey'::regclass",
    ),
    "a publication of its schema": (
        "CREATE PUBLICATION late FOR TABLES IN SCHEMA public",
        "count(*) = 1 FROM pg_publication_tables WHERE tablename = 'items'",
    ),
    "a constraint trigger of another table": (
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON other FROM items"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "count(*) = 1 FROM pg_trigger WHERE tgname = 'late'",
    ),
    "a column's privilege that is gone": (
        "REVOKE UPDATE (note) ON items FROM moment_boss",
        "NOT has_column_privilege('moment_boss', 'items', 'note', 'UPDATE')",
    ),
    "a publication": (
        "CREATE PUBLICATION late FOR TABLE items",
        "count(*) = 1 FROM pg_publication_tables WHERE tablename = 'items'",
    ),
    "a sequence": (
        "CREATE SEQUENCE late OWNED BY items.id",
        "count(*) = 1 FROM pg_depend WHERE objid = 'late'::regclass AND refobjid = 'items'::regclass",
    ),
    "another name": ("ALTER TABLE items RENAME TO renamed", "count(*) > 0 FROM renamed"),
    "another table of that name": (
        "ALTER TABLE items RENAME TO renamed; CREATE TABLE items (id int, note text); COMMENT ON TABLE items IS 'late'",
        "obj_description('items'::regclass) = 'late'",
    ),
}
"""The changes, each with a check that is true afterwards."""


SECONDS, PAUSE = 30.0, 0.02
"""The greatest wait for a change or the publish, and the pause between two polls."""


async def _until(condition: Callable[[], object]) -> None:
    """Polls while the publish goes on; a test that ends meanwhile cancels it, which it could not do with a thread."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - a server tells nobody that a session waits
            await asyncio.sleep(PAUSE)


@dataclass(slots=True)
class Moment:
    """One change on its way, beside a publish of which each statement is counted.

    It is made before statement ``at``. Where it is ``held``, it is committed when the publish waits for it, or ends.
    """

    database: Database
    change: str
    at: int
    held: bool
    publisher: int
    statements: int = 0
    making: asyncio.Task[Any] | None = None
    session: psycopg.AsyncConnection[Any] | None = None
    refused: psycopg.Error | None = field(default=None)

    async def before(self) -> None:
        """Counts a statement of the publish, and makes the change when it is time."""
        if self.statements == self.at:
            self.session = await psycopg.AsyncConnection.connect(self.database.url, autocommit=True)
            self.making = asyncio.create_task(self._make())
            pid = self.session.info.backend_pid
            making = self.making
            await _until(lambda: making.done() or self._waits(pid))
        self.statements += 1

    async def _make(self) -> None:
        assert self.session is not None
        try:
            await self.session.execute(f"BEGIN; {self.change}".encode())
            if self.held:
                asyncio.create_task(self._commit_when_waited_for())  # noqa: RUF006
            else:
                await self.session.execute("COMMIT")
        except psycopg.Error as error:
            self.refused = error

    async def _commit_when_waited_for(self) -> None:
        await _until(lambda: self._waits(self.publisher) or self.statements < 0)
        await self.end()

    async def end(self) -> None:
        """Commits what is not committed yet."""
        session, self.session = self.session, None
        if session is not None:
            try:
                await session.execute("COMMIT")
            except psycopg.Error as error:
                self.refused = error
            await session.close()

    def _waits(self, pid: int) -> bool:
        query = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
        return bool(self.database.value(query))


@pytest.fixture
def live(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database in which roles for the changes are; pauses between tries are short."""
    monkeypatch.setattr(limits, "PUBLISH_PAUSE_SECONDS", (0.01, 0.03))
    roles = "".join(
        f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role}; END IF; END $$;" for role in ROLES
    )
    databases.reporting.execute(roles)
    if not databases.reporting.rows("SELECT FROM pg_tablespace WHERE spcname = 'moment_space'"):
        with databases.reporting.connect() as session:
            session.execute("SET allow_in_place_tablespaces = on")
            session.execute("CREATE TABLESPACE moment_space LOCATION ''")
    yield databases.reporting
    databases.reporting.execute("".join(f"DROP OWNED BY {role} CASCADE;" for role in ROLES))


async def _published(database: Database, change: str, at: int, *, held: bool) -> tuple[Moment, EtlError | None]:
    """Publishes today over yesterday, and makes the change at a moment; gives that, and why it was not published."""
    database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT CREATE ON SCHEMA public TO moment_robot")
    database.execute(
        "DROP SCHEMA IF EXISTS etl, etl_staging_public, etl_stagingold_public CASCADE; DROP PUBLICATION IF EXISTS late"
    )
    connect = partial(connect_target, DatabaseUrl.parse(database.url), guard.application("tonight"))
    target = await connect()
    try:
        await book.ensure(target)
        database.execute(f"{LIVE}; CREATE SCHEMA etl_staging_public; {STAGED}")
        moment = Moment(database, change, at, held, target.info.backend_pid)
        _count(target, moment)
        try:
            await publishing.publish(target, "tonight", [TargetName("public", "items")], Policy(deadline=20), connect)
            return moment, None
        except EtlError as error:
            return moment, error
        finally:
            if moment.making is not None and not moment.held:
                await moment.making
            moment_statements, moment.statements = moment.statements, -1
            await moment.end()
            moment.statements = moment_statements
    finally:
        await target.close()


def _count(target: Target, moment: Moment) -> None:
    execute = target.execute

    async def counted(*arguments: Any, **options: Any) -> Any:
        await moment.before()
        return await execute(*arguments, **options)

    target.execute = counted  # type: ignore[method-assign]


_counted: list[int] = []


async def _moments(database: Database) -> list[int]:
    """The numbers of an undisturbed publish's statements."""
    if not _counted:
        undisturbed, refusal = await _published(database, "", -1, held=False)
        assert refusal is None
        _counted[:] = range(undisturbed.statements)
    return _counted


UNLOCKED = {"an index's comment", "a key's comment"}
"""Changes that lock only an index: where they are not committed, a publish neither sees them nor waits for them."""


@pytest.mark.parametrize(
    ("name", "held"),
    [
        pytest.param(name, held, id=f"{name}, {'held' if held else 'committed'}")
        for name in CHANGES
        for held in (False, True)
        if not (held and name in UNLOCKED)
    ],
)
async def test_a_change_at_any_moment_is_there_afterwards(live: Database, name: str, held: bool) -> None:
    """Otherwise the session that made it got an error; and the publish is whole, or failed with a reason."""
    change, is_there = CHANGES[name]
    moments = await _moments(live)
    if os.environ.get("ETL_MOMENTS") != "all":
        moments = sorted(random.Random(f"{name} {held}").sample(moments, DRAWN))
    for at in moments:
        moment, refusal = await _published(live, change, at, held=held)
        if moment.refused is None:
            assert live.value(f"SELECT {is_there}"), f"lost, made before statement {at}: {refusal or 'published'}"
        if refusal is None:
            assert {note for (note,) in live.rows("SELECT note FROM ONLY items")} <= {"today"}, f"statement {at}"
