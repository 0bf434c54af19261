"""A state machine: days of anything that the rules of deltas have to bear, and nights that leave the target exact.

Some dozens of nights, the same each time; ETL_MACHINE_EXAMPLES=200 tries 200 random series of days, and prints how to
repeat a failure.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from psycopg import sql

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Done, Etl
from tests.mirror import contents
from tests.releases import clusters_partitioned, detaches_concurrently, fast_copy
from tests.situations import until

EXAMPLES = os.environ.get("ETL_MACHINE_EXAMPLES")

BOUNDED = settings(max_examples=4, stateful_step_count=18, derandomize=True)
BIGGER = settings(max_examples=int(EXAMPLES or 0) or 1, stateful_step_count=50, print_blob=True)

QUIET: dict[str, Any] = {
    "phases": [Phase.generate],  # a shorter series would take an hour to find
    "report_multiple_bugs": False,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}

SETTINGS = FAST | {
    "max_prepared_transactions": "10",
    "autovacuum": "off",  # its transactions would hold back a snapshot at times
}

TABLES = ("orders", "parts", "picked")

SHOP = """
CREATE TYPE state AS ENUM ('new', 'paid', 'sent');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN amount AS int CHECK (VALUE > -1000);
CREATE TABLE orders (id int PRIMARY KEY, note text, state state DEFAULT 'paid', pair pair, amount amount);
CREATE TABLE spare (LIKE orders INCLUDING ALL);
INSERT INTO orders SELECT g, 'note ' || g, 'new', ROW(g, 'b'::text)::pair, g FROM generate_series(1, 240) g;
INSERT INTO spare SELECT g, 'spare ' || g, 'sent', ROW(g, 'c'::text)::pair, g FROM generate_series(1, 240) g;
CREATE TABLE parts (id int, day int, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE p0 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE p1 (note text, gone text, day int NOT NULL, id int NOT NULL);
ALTER TABLE p1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION p1 FOR VALUES FROM (100) TO (200);
CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (200) TO (300);
INSERT INTO parts SELECT g, g % 300, 'note ' || g FROM generate_series(1, 300) g;
CREATE TABLE p3 (id int NOT NULL, day int NOT NULL, note text);
INSERT INTO p3 SELECT g, 300 + g, 'three ' || g FROM generate_series(1, 20) g;
CREATE TABLE picked (id int PRIMARY KEY, day int, note text);
INSERT INTO picked SELECT g, g % 300, 'note ' || g FROM generate_series(1, 240) g;
"""
"""``spare`` and ``p3`` have old rows, too; they take the place of ``orders``, and come as a partition."""

WRITES = {
    "insert": "INSERT INTO {t} (id, {day} note) SELECT {fresh} + g, {of_day} 'fresh' FROM generate_series(1, 3) g",
    "update": "UPDATE {t} SET note = note || 'x' WHERE id % 40 = {n}",
    "update to the same": "UPDATE {t} SET note = note WHERE id % 40 = {n}",
    "delete": "DELETE FROM {t} WHERE id % 60 = {n}",
    "delete the last": "DELETE FROM {t} WHERE id = (SELECT max(id) FROM {t})",
    "change keys": "UPDATE {t} SET id = id + {fresh} WHERE id % 90 = {n}",
    "exchange rows": "DELETE FROM {t} WHERE id % 80 = {n};"
    "INSERT INTO {t} (id, {day} note) SELECT {fresh} + g, {of_day} 'for it' FROM generate_series(1, 3) g",
    "exchange keys": "UPDATE {t} SET id = -id WHERE id IN (5, 6); UPDATE {t} SET id = 11 + id WHERE id IN (-5, -6)",
    "come again": "CREATE TEMP TABLE o AS SELECT * FROM {t} WHERE id % 50 = {n}; DELETE FROM {t} WHERE id % 50 = {n};"
    "INSERT INTO {t} SELECT * FROM o; DROP TABLE o",
    "savepoints": "BEGIN; SAVEPOINT a; UPDATE {t} SET note = 'a' WHERE id % 50 = {n}; RELEASE a; SAVEPOINT b;"
    "DELETE FROM {t}; ROLLBACK TO b; SAVEPOINT c; DELETE FROM {t} WHERE id % 70 = {n}; COMMIT",
    "many subtransactions": "DO $$ BEGIN FOR i IN 1..80 LOOP BEGIN UPDATE {t} SET note = 'sub' WHERE id = i AND"
    " id % 9 = {n}; EXCEPTION WHEN others THEN RAISE; END; END LOOP; END $$",
    "rewrite": "BEGIN; CREATE TEMP TABLE o ON COMMIT DROP AS TABLE {t}; TRUNCATE {t}; INSERT INTO {t} TABLE o; COMMIT",
    "move": "UPDATE {t} SET {moved} WHERE id % 45 = {n}",
}
"""Changes of rows alone: after them, no night may be full, unless too many rows have changed."""

MAINTENANCE = {
    "freeze": "VACUUM FREEZE {t}",
    "vacuum": "VACUUM {t}",
    "full": "VACUUM FULL {t}",
    "cluster": "CLUSTER {t} USING {t}_pkey",
    "analyze": "ANALYZE {t}",
    "reindex": "REINDEX TABLE {t}",
}

OLD_DEFAULTS = "SELECT FROM pg_attribute WHERE attrelid = to_regclass('{t}') AND atthasmissing"
"""The columns that were added with a default, which old rows show until the table is written anew."""

LEAVES = {name: f"FROM ({100 * n}) TO ({100 * n + 100})" for n, name in enumerate(("p0", "p1", "p2", "p3"))}

CONCURRENTLY = {
    "detach concurrently": "ALTER TABLE parts DETACH PARTITION {l} CONCURRENTLY",
    "finalize": "ALTER TABLE parts DETACH PARTITION {l} FINALIZE",
}

OF_LEAVES = {
    "attach": "ALTER TABLE parts ATTACH PARTITION {l} FOR VALUES {bounds}",
    "attach, and delete as many": "ALTER TABLE parts ATTACH PARTITION {l} FOR VALUES {bounds};"
    "DELETE FROM parts WHERE id IN (SELECT id FROM parts WHERE tableoid <> '{l}'::regclass"
    " ORDER BY id LIMIT (SELECT count(*) FROM {l}))",
    "detach": "ALTER TABLE parts DETACH PARTITION {l}",
    "away for a moment": "ALTER TABLE parts DETACH PARTITION {l}; UPDATE {l} SET note = 'away' WHERE id % 20 = {n};"
    "DELETE FROM {l} WHERE id % 30 = {n}; ALTER TABLE parts ATTACH PARTITION {l} FOR VALUES {bounds}",
    "another default": "ALTER TABLE parts DETACH PARTITION {l}; ALTER TABLE {l} DROP note;"
    "ALTER TABLE {l} ADD note text DEFAULT 'n{n}'; ALTER TABLE parts ATTACH PARTITION {l} FOR VALUES {bounds}",
    "made again": "ALTER TABLE parts DETACH PARTITION {l}; CREATE TABLE o AS TABLE {l}; DROP TABLE {l};"
    "CREATE TABLE {l} PARTITION OF parts FOR VALUES {bounds}; INSERT INTO {l} (id, day, note)"
    " SELECT id, day, note FROM o WHERE id % 25 <> {n}; DROP TABLE o",
    "truncate": "TRUNCATE {l}",
} | (CONCURRENTLY if detaches_concurrently() else {})
"""Changes of partitions: each leaf has its own base, so no load is full because of them."""

DEFINITIONS = {
    "a column comes": ("{t}", "ALTER TABLE {t} ADD COLUMN c{fresh} int DEFAULT {n}"),
    "a column takes another's place": (
        "{t}",
        "ALTER TABLE {t} DROP COLUMN note; ALTER TABLE {t} ADD COLUMN note text DEFAULT 'column {n}'",
    ),
    "rename": (
        "orders",
        "BEGIN; ALTER TABLE orders RENAME TO o; ALTER TABLE spare RENAME TO orders; ALTER TABLE o RENAME TO spare;"
        "COMMIT",
    ),
    "an attribute": ("orders", "ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b text"),
    "a domain": (
        "orders",
        "BEGIN; ALTER DOMAIN amount DROP CONSTRAINT amount_check;"
        "ALTER DOMAIN amount ADD CHECK (VALUE > -{fresh}); COMMIT",
    ),
    "an index": ("{t}", "CREATE INDEX ON {t} (note, id)"),
    "a comment": ("{t}", "COMMENT ON TABLE {t} IS '{fresh}'"),
    "a label": (
        "orders",
        "DO $$ BEGIN EXECUTE (SELECT format('ALTER TYPE state RENAME VALUE %L TO %L', enumlabel, 'l{fresh}')"
        " FROM pg_enum WHERE enumtypid = 'state'::regtype ORDER BY enumsortorder OFFSET {n} % 3 LIMIT 1); END $$",
    ),
}
"""Changes of definitions: the table that they concern may be loaded whole."""

EDITS = {
    "update": "UPDATE {t} SET note = 'mine' WHERE id % 50 = {n}",
    "insert": "INSERT INTO {t} (id, {day} note) VALUES (-{fresh}, {of_day} '')",
    "delete": "DELETE FROM {t} WHERE id % 50 = {n}",
    "one for another": "DELETE FROM {t} WHERE id = (SELECT max(id) FROM {t});"
    "INSERT INTO {t} (id, {day} note) VALUES (-{fresh}, {of_day} 'mine')",
    "another table": "CREATE TABLE o (LIKE {t} INCLUDING ALL); INSERT INTO o TABLE {t}; DROP TABLE {t};"
    "ALTER TABLE o RENAME TO {t}; ALTER INDEX o_pkey RENAME TO {key};"
    "UPDATE {t} SET note = 'mine' WHERE id % 50 = {n}",
    "dropped": "DROP TABLE {t}",
    "a column loses its values": "ALTER TABLE {t} DROP COLUMN note; ALTER TABLE {t} ADD COLUMN note text",
    "written again": "CREATE TABLE o AS TABLE {t}; TRUNCATE {t}; INSERT INTO {t} TABLE o; DROP TABLE o",
    "no key": "ALTER TABLE {t} DROP CONSTRAINT {key}",
    "vacuum full": "VACUUM FULL {t}",
    "frozen": "UPDATE {t} SET note = 'mine' WHERE id % 50 = {n}; VACUUM FREEZE {t}",
}
"""What somebody does to a live table."""

IN_THE_WAY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.IntegrityError,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.WrongObjectType,
    psycopg.errors.InvalidObjectDefinition,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.DuplicateObject,
)
"""Errors of statements that another thing of the day has made impossible."""

Rows = Mapping[str, Sequence[bytes]]

Write = tuple[str, str, int]

tables, numbers = st.sampled_from(TABLES), st.integers(0, 9)
writes = st.lists(st.tuples(tables, st.sampled_from([*WRITES]), numbers), min_size=1, max_size=4)
_databases = count()


@dataclass
class Nights:
    """The nights of all examples, by how they went."""

    number: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{times} {what}" for what, times in self.number.most_common())


@dataclass
class Deferred:
    """A run that has staged its loads: the rows of its snapshot, and the tables that need not have been deltas."""

    run_id: str
    rows: Rows
    whole: set[str]


class Days(RuleBasedStateMachine):
    """Three tables, and what happens to them between two nights, and while a night goes on."""

    A_DAY = 3
    """So many things happen, then a night comes."""

    etl: Etl

    def __init__(self, source: Server, target: Server, folder: Path, nights: Nights) -> None:
        super().__init__()
        name = f"machine_{next(_databases)}"
        for server in (source, target):
            server.psql(f"CREATE DATABASE {name} TEMPLATE template0 {fast_copy()}")
        self.both = Databases(Database(source, name), Database(target, name))
        self.both.operational.execute(SHOP)
        self.numbers, self.nights = count(1), nights
        self.open: list[psycopg.Connection[object]] = []
        self.prepared: list[str] = []
        self.deferred: Deferred | None = None
        self.whole = set(TABLES)
        self.since, self.happened = 0, 0
        self.days, self.mark = 250, "!"
        self.options = folder / f"{name}.toml"
        self.etl = Etl(self.both.environment | {"ETL_LOAD": "auto", "TABLES": ",".join(TABLES)})
        self.etl.environment["ETL_OPTIONS_FILE"] = str(self.options)
        self.choose()
        self.night()

    # What happens in a day

    @rule(writes=writes)
    def write(self, writes: list[Write]) -> None:
        """Somebody writes to the source."""
        self.do(writes, durable=True)

    @rule(writes=writes)
    def write_and_lose(self, writes: list[Write]) -> None:
        """Somebody writes to the source, asynchronously: the next crash may lose it."""
        self.do(writes, durable=False)

    def do(self, writes: list[Write], *, durable: bool) -> None:
        """Changes rows of the source."""
        for table, what, n in writes:
            self.source(self.filled(WRITES[what], table, n), durable=durable)
        self.passed()

    @rule(table=tables, n=numbers, prepared=st.booleans())
    def begin(self, table: str, n: int, prepared: bool) -> None:
        """A transaction writes, and stays open or prepared; at most three do."""
        if len(self.open) + len(self.prepared) == 3:
            return
        session = psycopg.connect(self.both.operational.url, options="-c lock_timeout=50ms")
        with suppress(*IN_THE_WAY):
            session.execute(self.filled(WRITES["insert"], table, n).encode())
            if prepared:
                name = f"t{next(self.numbers)}"
                session.execute(f"PREPARE TRANSACTION '{name}'".encode())
                self.prepared.append(name)
                session.close()
            else:
                with suppress(*IN_THE_WAY), session.transaction():
                    session.execute(self.filled(WRITES["update"], table, n).encode())
                self.open.append(session)
        self.passed()

    @rule(commits=st.booleans(), prepared=st.booleans())
    def end(self, commits: bool, prepared: bool) -> None:
        """The oldest open transaction ends, if there is one."""
        if not self.open and not self.prepared:
            return
        if self.prepared and (prepared or not self.open):
            self.both.operational.execute(f"{'COMMIT' if commits else 'ROLLBACK'} PREPARED '{self.prepared.pop(0)}'")
        else:
            session = self.open.pop(0)
            (session.commit if commits else session.rollback)()
            session.close()
        self.passed()

    @rule(table=tables, what=st.sampled_from([*MAINTENANCE]))
    def maintain(self, table: str, what: str) -> None:
        """A table is vacuumed, or its rows are put elsewhere; each keeps its xmin."""
        if what == "cluster" and table == "parts" and not clusters_partitioned():
            table = "p0"
        if what in {"full", "cluster"} and self.both.operational.rows(OLD_DEFAULTS.format(t=table)):
            self.whole.add(table)
        self.source(self.filled(MAINTENANCE[what], table, 0))
        self.passed()

    @rule(leaf=st.sampled_from([*LEAVES]), what=st.sampled_from([*OF_LEAVES]), n=numbers)
    def part(self, leaf: str, what: str, n: int) -> None:
        """A partition comes, goes, or is another one."""
        self.source(OF_LEAVES[what].format(l=leaf, bounds=LEAVES[leaf], n=n))
        self.passed()

    @rule(table=tables, what=st.sampled_from([*DEFINITIONS]), n=numbers)
    def define(self, table: str, what: str, n: int) -> None:
        """The definition of a table changes, or of a type that it has."""
        changed, statements = DEFINITIONS[what]
        self.whole.add(changed.format(t=table))
        statements = self.filled(statements, table, n)
        self.source(statements)
        if what in {"a domain", "a label"}:
            self.repeat_on_target(statements)
        self.passed()

    def repeat_on_target(self, statements: str) -> None:
        """The run says no to a type that differs, until it is the same on both sides."""
        before, rows, done = self.live(), self.rows(), self.etl("run")
        if done.status == 0:  # a lock was in the way, and nothing differs
            self.published(done, rows, done)
            return
        assert re.search("type public.(amount|state) differs", done.stderr)
        assert self.live() == before
        self.both.reporting.execute(statements)

    @rule(days=st.integers(200, 300), mark=st.sampled_from("!?"))
    def choose_otherwise(self, days: int, mark: str) -> None:
        """The options have another condition or mask."""
        self.days, self.mark = days, mark
        self.choose()
        self.whole.add("picked")
        self.passed()

    @rule(table=tables, what=st.sampled_from([*EDITS]), n=numbers)
    def edit(self, table: str, what: str, n: int) -> None:
        """Somebody writes to a live table, or replaces it."""
        self.whole.add(table)
        with suppress(*IN_THE_WAY), self.both.reporting.connect(options="-c lock_timeout=1s") as session:
            for statement in self.filled(EDITS[what], table, n, self.live_key(table)).split(";"):
                session.execute(statement.encode())
        self.passed()

    @rule(how=st.sampled_from([signal.SIGQUIT, signal.SIGINT]))
    def crash(self, how: signal.Signals) -> None:
        """The source's server is stopped, or killed; it comes up again without what was not flushed."""
        server = self.both.operational.server
        server.stop(how)
        for session in self.open:
            session.close()
        self.open.clear()
        server.restart()
        self.prepared = [name for (name,) in self.both.operational.rows("SELECT gid FROM pg_prepared_xacts")]
        self.nights.number["crashes"] += 1
        self.passed()

    # Nights

    def night(self) -> None:
        """A run copies what has changed."""
        rows = self.rows()
        done = self.etl("run")
        self.published(done, rows, done)

    @rule(during=writes)
    def night_with_writers(self, during: list[Write]) -> None:
        """A run's containers read in one snapshot; meanwhile others write."""
        run_id = f"held-{next(self.numbers)}"
        of_run = {"ETL_RUN_ID": run_id, "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
        with self.etl.started("snapshot", ETL_RUN_ID=run_id) as holder:
            known = f"SELECT snapshot_id FROM etl.runs WHERE run_id = '{run_id}' AND snapshot_id IS NOT NULL"
            until(lambda: self.both.reporting.rows(known), "the snapshot to be held")
            rows = self.rows(self.both.reporting.value(known))
            for table, what, n in during:
                self.source(self.filled(WRITES[what], table, n))
            loaded = self.etl("run", **of_run)
            holder.communicate(timeout=60)
        assert loaded.status == 0, loaded.stderr
        self.published(self.etl("publish", run_id), rows, loaded)
        self.nights.number["with writers"] += 1

    @rule()
    def defer(self) -> None:
        """A run stages its loads; the next time, that run is published, or says no, and nothing has changed."""
        if self.deferred is not None:
            self.publish(self.deferred)
            return
        run_id, rows = f"deferred-{next(self.numbers)}", self.rows()
        done = self.etl("run", ETL_RUN_ID=run_id, ETL_PUBLISH="defer")
        assert done.status == 0, done.stderr
        self.compare_loads(done)
        self.deferred = Deferred(run_id, rows, {*self.whole})
        self.passed()

    def publish(self, deferred: Deferred) -> None:
        """The deferred run is published, or says no."""
        before = self.live()
        done = self.etl("publish", deferred.run_id)
        if done.status == 0:
            assert self.live() == deferred.rows
        else:
            assert self.live() == before
        self.nights.number["deferred" if done.status == 0 else "refused"] += 1
        self.whole.update(TABLES)
        self.deferred = None
        self.passed()

    # What they need

    def live_key(self, table: str) -> str:
        """The name of a live table's primary key. It may be that of the table which was renamed."""
        query = f"SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('{table}') AND contype = 'p'"
        return next((name for (name,) in self.both.reporting.rows(query)), f"{table}_pkey")

    def filled(self, statements: str, table: str, n: int, key: str = "") -> str:
        """SQL text of a table above; ``key`` is the name of its primary key."""
        has_day = table != "orders"
        of = {"t": table, "n": n, "fresh": 1000 * next(self.numbers), "day": "day," * has_day}
        moved = "day = (day + 100) % 300" if has_day else "note = 'moved'"
        return statements.format(of_day="(random() * 299)::int," * has_day, moved=moved, key=key, **of)

    def source(self, statements: str, *, durable: bool = True) -> None:
        """Executes statements on the source, one by one, as far as nothing is in their way."""
        options = f"-c lock_timeout=50ms -c synchronous_commit={'on' if durable else 'off'}"
        pieces = [statements] if "$$" in statements or "BEGIN" in statements else statements.split(";")
        with suppress(*IN_THE_WAY), self.both.operational.connect(options=options) as session:
            for piece in pieces:
                session.execute(piece.encode())

    def choose(self) -> None:
        """Writes the options."""
        mask = f"""mask = {{ note = "sql:upper(note) || '{self.mark}'" }}"""
        picked = f'[picked]\nwhere = "day < {self.days}"\n{mask}\n'
        self.options.write_text(f'[defaults]\nshrink_at_most = "100%"\nfull_every = "never"\n{picked}')

    def rows(self, snapshot: str | None = None) -> Rows:
        """The rows as they are to arrive, now or in a snapshot."""
        columns = self.both.operational.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'picked'::regclass AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum"
        )
        listed = ", ".join(f"upper(note) || '{self.mark}'" if name == "note" else name for (name,) in columns)
        picked = f"(SELECT {listed} FROM public.picked WHERE day < {self.days}) AS r"
        queries = {"orders": "public.orders", "parts": "public.parts", "picked": picked}
        return {
            name: contents(self.both.operational, sql.SQL(query), snapshot=snapshot) for name, query in queries.items()
        }

    def live(self) -> Rows:
        """The rows of the live tables."""
        there = {name for (name,) in self.both.reporting.rows("SELECT tablename FROM pg_tables")}
        return {name: contents(self.both.reporting, sql.Identifier("public", name)) for name in TABLES if name in there}

    def passed(self) -> None:
        """Something has happened; after some such things, a night comes."""
        self.happened += 1
        if self.happened >= self.A_DAY:
            self.night()

    def published(self, done: Done, rows: Rows, loaded: Done) -> None:
        """A run has published what the source had; it was no full load for no reason."""
        assert done.status == 0, done.stderr
        live = self.live()
        for name in TABLES:
            assert live[name] == rows[name], name
        self.compare_loads(loaded)
        self.nights.number["nights"] += 1
        self.whole.clear()
        self.since = int(self.both.operational.value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
        self.happened = 0

    def compare_loads(self, done: Done) -> None:
        """Each load was one of changes, unless the table may be loaded whole, or too many rows have changed."""
        assert [one for one in done.events if one["event"] == "table.unlike"] == []
        for one in done.events:
            if one["event"] == "table.loaded":
                name = one["table"].removeprefix("public.")
                self.nights.number[one["load"]] += 1
                assert one["load"] != "full" or name in self.whole or self.are_many(name, one["reason"]), (
                    f"{name}: {one['reason']}"
                )

    def are_many(self, table: str, reason: str) -> bool:
        """Whether a load was full because too many rows had changed, and they have."""
        if not re.search("of .* rows have changed( or are gone)?$", reason):
            return False
        ((young, every),) = self.both.operational.rows(
            f"SELECT count(*) FILTER (WHERE xmin::text::int8 >= {self.since}), count(*) FROM {table}"
        )
        self.nights.number["because of many changes"] += 1
        return table == "parts" or young > 0.25 * every

    def teardown(self) -> None:
        """One more night, and all is dropped."""
        try:
            self.night()
        finally:
            for session in self.open:
                session.close()
            for name in self.prepared:
                self.both.operational.execute(f"ROLLBACK PREPARED '{name}'")
            for database in (self.both.operational, self.both.reporting):
                database.server.psql(f"DROP DATABASE {database.name} WITH (FORCE)")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """Two servers. A test may kill the first one, the source."""
    both: list[Server] = []
    try:
        for _ in range(2):
            both.append(Server.start(settings=SETTINGS))  # noqa: PERF401 - those that started must be stopped
        yield both[0], both[1]
    finally:
        for one in both:
            one.remove()


@pytest.mark.superuser("it kills the source's server")
def test_after_each_night_the_target_is_what_the_source_was(servers: tuple[Server, Server], tmp_path: Path) -> None:
    """Whatever happens, each night's live tables are the source's under its snapshot, and few loads are full."""
    nights = Nights()
    chosen = BIGGER if EXAMPLES else BOUNDED
    try:
        run_state_machine_as_test(partial(Days, *servers, tmp_path, nights), settings=settings(chosen, **QUIET))  # type: ignore[arg-type]
    finally:
        print(f"\n{nights}")
    assert nights.number["delta"] > nights.number["nights"] / 4
