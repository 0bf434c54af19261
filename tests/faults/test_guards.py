"""Each guard of a delta is taken out in turn, and something goes wrong that the guard prevents.

docs/how-deltas-work.md has the guards. A guard is taken out in the process of one run alone, by a patch of the
product's function. Before, the run with its guards says what it would do.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from etl.loads.delta import Delta
from etl.model import base, limits
from etl.model.base import Live, Seen
from etl.model.table import Table
from etl.publish import parts
from etl.sessions.query import source_query
from etl.sessions.stage import Stage
from etl.source import definitions, history, purity
from etl.source.purity import Judged
from etl.target import untouched
from servers.postgres import FAST, Server
from tests import forkserver
from tests.faults.breaker import Breaker, Moment
from tests.harness import Database, Databases, Done, Etl, environment_of
from tests.integration import test_deltas_of_partitions
from tests.integration.test_deltas import ORDERS
from tests.situations import settled, until

TakeOut = Callable[[pytest.MonkeyPatch], None]


def unguarded(etl: Etl, take_out: TakeOut, *arguments: str, **variables: str) -> Done:
    """Runs ``etl`` in a fork of this process, in which guards are taken out."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open() as nothing:
        if (pid := os.fork()) == 0:
            try:
                take_out(patch := pytest.MonkeyPatch())
                patch.setattr(limits, "SOURCE_FLUSH_SECONDS", 20.0)  # the shop's WAL writer may sleep for 10 s
                streams = [os.dup(one.fileno()) for one in (nothing, out, err)]
                environment = environment_of(etl.environment | {"ETL_LOG_FORMAT": "json"} | variables)
                forkserver.become(forkserver.Request(arguments, environment, str(Path.cwd())), streams)
                forkserver.run()
            finally:
                os._exit(70)
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return Done(os.waitstatus_to_exitcode(status), out.read().decode(), err.read().decode())


# What takes a guard out


def without_history(*fields: str) -> TakeOut:
    """Two histories that differ in these fields are the same."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        for field in fields:
            patch.delitem(base._OTHER if field in base._OTHER else base._DOUBTS, field)

    return take_out


def without_facts(change: Callable[[Table, list[str]], tuple[Table, list[str]]]) -> TakeOut:
    """The digest of a definition does not have everything: ``change`` removes it from the table and its facts."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        digest = definitions._digest

        def less(table: Table, facts: Sequence[str | None]) -> str:
            return digest(*change(table, [fact or "" for fact in facts]))

        patch.setattr(definitions, "_digest", less)

    return take_out


def without_text(text: str, instead: str) -> TakeOut:
    """The query of the definitions has another text in a place."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        query = source_query("definitions")
        assert text in query
        patch.setattr(definitions, "source_query", lambda _: query.replace(text, instead))

    return take_out


def without_judge(judged: Callable[[Judged], Judged]) -> TakeOut:
    """The SQL of the options is judged otherwise."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        judge = purity.judge

        async def kinder(*given: Any) -> Judged:
            return judged(await judge(*given))

        patch.setattr(definitions, "judge", kinder)

    return take_out


def without_order(patch: pytest.MonkeyPatch) -> None:
    """Everything passes for an order."""
    patch.setattr(purity, "_ONLY_ROWS", re.compile("(?!)"))


def without_older(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is older only if its xmin says so."""
    patch.setattr(Seen, "is_before", lambda self, other: self.xmin < other.xmin)


def with_xmax(patch: pytest.MonkeyPatch) -> None:
    """S is the snapshot's xmax."""
    parse = Seen.parse
    patch.setattr(Seen, "parse", lambda text: replace(seen := parse(text), xmin=seen.xmax))


def without_unlike(*fields: str) -> TakeOut:
    """Live tables that differ in these fields are the same."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        unlike = Live.unlike

        def kinder(self: Live, other: Live) -> str | None:
            return unlike(self, replace(other, **{field: getattr(self, field) for field in fields}))

        patch.setattr(Live, "unlike", kinder)

    return take_out


def without_strange(patch: pytest.MonkeyPatch) -> None:
    """Nobody else writes to a live table."""
    patch.setattr(untouched, "_strange", lambda _: sql.SQL("false"))


def without_number(patch: pytest.MonkeyPatch) -> None:
    """The number of rows of a live table is always right when it is loaded."""
    doubt = untouched.doubt

    async def kinder(*given: Any) -> str | None:
        said = await doubt(*given)
        return None if said and said.startswith("the live table has") else said

    patch.setattr(untouched, "doubt", kinder)


class _Right(int):
    """A number that is always the right one."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def without_balance(patch: pytest.MonkeyPatch) -> None:
    """The number of rows after a merge is always right."""
    left = untouched.left

    async def kinder(*given: Any, **more: Any) -> untouched.Left:
        found = await left(*given, **more)
        return replace(found, rows=_Right(found.rows))

    patch.setattr(untouched, "left", kinder)


def without_touched(patch: pytest.MonkeyPatch) -> None:
    """Unchanged tables are not counted in the publish."""
    keep = parts.keep
    patch.setattr(parts, "keep", lambda target, of, may_be_touched: keep(target, of, may_be_touched=False))


def without_leaves(patch: pytest.MonkeyPatch) -> None:
    """The base has the leaves that the table has now."""
    patch.setattr(Delta, "_same_leaves", lambda self, _: {oid for oid, _ in self.rows.table.leaves})


def without_leaf_digests(patch: pytest.MonkeyPatch) -> None:
    """A leaf with the same oid is the same leaf."""
    patch.setattr(
        Delta,
        "_same_leaves",
        lambda self, was: {one for one, _ in was.leaves} & {one for one, _ in self.rows.table.leaves},
    )


def without_second_look(patch: pytest.MonkeyPatch) -> None:
    """The definition is not asked again after the rows were read."""

    async def nothing(*_: object) -> None:
        return None

    patch.setattr(Delta, "_same_definition", nothing)


def without_flush(patch: pytest.MonkeyPatch) -> None:
    """A base is recorded whether or not its WAL is flushed."""

    async def flushed(*_: object) -> bool:
        return True

    patch.setattr(history, "_flushed", flushed)


def each(*some: TakeOut) -> TakeOut:
    """Several guards are taken out."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        for one in some:
            one(patch)

    return take_out


# Guards that one day between two nights needs


@dataclass(frozen=True)
class Guard:
    """How to take a guard out, and a day after which it is missed.

    ``before`` is what the source has, ``day`` happens there between two nights, and ``live`` on the target; ``options``
    are those of the orders. ``says`` is the reason of the load with all guards, ``night`` the load without this one. If
    the guard decides what a base is, it is missing ``at_first``, too; ``earlier`` is a table that the target has before
    the last publish.
    """

    take_out: TakeOut
    day: str = ""
    live: str = ""
    before: str = ORDERS
    earlier: str = ""
    options: str = ""
    says: str = "the definition of the table, or of what it needs, has changed"
    night: str = "unchanged"
    at_first: bool = False


def _no_oid(table: Table, facts: list[str]) -> tuple[Table, list[str]]:
    return replace(table, source=replace(table.source, oid=0)), [re.sub(r'"oid": "\d+"', "", fact) for fact in facts]


def _no(name: str) -> Callable[[Table, list[str]], tuple[Table, list[str]]]:
    return lambda table, facts: (table, [re.sub(rf'"{name}": \[.*?\](, "\w+":|\}}$)', r"\1", facts[0]), *facts[1:]])


SPARE = """
CREATE TABLE spare (LIKE orders INCLUDING ALL); INSERT INTO spare SELECT id, 'spare' FROM orders;
"""
EXCHANGED = """
ALTER TABLE orders RENAME TO old; ALTER INDEX orders_pkey RENAME TO old_pkey;
ALTER TABLE spare RENAME TO orders; ALTER INDEX spare_pkey RENAME TO orders_pkey;
"""

OTHERS = "others have written 1 rows of the live table"

NINE = "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT generate_series(1, 9), 'a'"

GUARDS = {
    "the table's oid": Guard(without_facts(_no_oid), EXCHANGED, before=ORDERS + SPARE, at_first=True),
    "its columns' numbers and missing values": Guard(
        without_facts(_no("columns")),
        "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text DEFAULT 'other'",
        before=NINE,
        at_first=True,
    ),
    "its types": Guard(
        without_facts(_no("types")),
        "ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b text",
        before="CREATE TYPE pair AS (a int, b text); CREATE TABLE orders (id int PRIMARY KEY, note pair);"
        "INSERT INTO orders SELECT g, ROW(g, 'b'::text)::pair FROM generate_series(1, 9) g",
        at_first=True,
    ),
    "a virtual column": Guard(
        without_text("a.attgenerated = 'v'", "false"),
        "ALTER TABLE orders ALTER COLUMN double SET EXPRESSION AS (id * 3)",
        before="CREATE TABLE orders (id int PRIMARY KEY, double int GENERATED ALWAYS AS (id * 2) VIRTUAL, note text);"
        "INSERT INTO orders SELECT generate_series(1, 9)",
        says="a virtual generated column computes its values when it is read",
        at_first=True,
    ),
    "the parse tree": Guard(
        without_judge(lambda judged: replace(judged, facts="")),
        "SELECT pg_sleep(3)",
        before="CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, note text);"
        "INSERT INTO orders SELECT g, now() + CASE WHEN g < 3 THEN interval '3 s' ELSE '1 day' END"
        " FROM generate_series(1, 9) g",
        options="where = \"(at < 'now') <> (id = 2)\"",
        at_first=True,
    ),
    "what the options' SQL calls": Guard(
        without_judge(lambda _: Judged()),
        "CREATE OR REPLACE FUNCTION loud(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'",
        before=ORDERS + "CREATE FUNCTION loud(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)'",
        options='mask = { note = "sql:public.loud(note)" }',
        says="the options' SQL calls public.loud(text), which is not PostgreSQL's own",
        at_first=True,
    ),
    "an order that says more": Guard(
        without_order,
        "INSERT INTO orders SELECT generate_series(501, 650)",
        options='order_by = ["id LIMIT 600"]',
        says="the options' SQL has more than a condition, values and an order",
        night="delta",
        at_first=True,
    ),
    "the live table's oid": Guard(
        without_unlike("oid"),
        live=EXCHANGED,
        earlier=SPARE,
        says="the live table is another one",
    ),
    "the live table's columns": Guard(
        without_unlike("columns"),
        live="ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text",
        before=NINE,
        says="the live table's columns have changed",
    ),
    "others' rows": Guard(without_strange, live="UPDATE orders SET note = 'mine' WHERE id = 4", says=OTHERS),
    "the number of live rows": Guard(
        without_number,
        live="DELETE FROM orders WHERE id = 4",
        says="the live table has 499 rows, and 500 were published",
    ),
    "the base's leaves": Guard(
        without_leaves,
        f"{test_deltas_of_partitions.ATTACH}; DELETE FROM orders WHERE id BETWEEN 600 AND 619",
        before=test_deltas_of_partitions.ORDERS,
        says="20 rows changed and 20 gone, 5 % of 800",
    ),
    "the leaves' columns": Guard(
        without_leaf_digests,
        "ALTER TABLE more DETACH PARTITION four; ALTER TABLE four DROP COLUMN note;"
        "ALTER TABLE four ADD COLUMN note text DEFAULT 'old';"
        "ALTER TABLE more ATTACH PARTITION four FOR VALUES FROM (300) TO (400)",
        before=test_deltas_of_partitions.ORDERS,
        says="200 rows changed and 0 gone, 25 % of 800",
    ),
}


def wrong(auto: Etl, target: Database) -> bool:
    """Whether the live tables have other rows than a full load of the same source leaves."""
    names = auto.environment["TABLES"].split(",")
    rows = [target.rows(f"SELECT t::text FROM {name} AS t ORDER BY 1") for name in names]
    assert auto("run", ETL_LOAD="full").status == 0
    return rows != [target.rows(f"SELECT t::text FROM {name} AS t ORDER BY 1") for name in names]


@pytest.fixture
def auto(etl: Etl, tmp_path: Path) -> Etl:
    """``etl`` with load auto, without proofs, which would find what a missing guard lets pass."""
    options = tmp_path / "options.toml"
    options.write_text("[orders]\nproof_nights = 0")
    return Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "orders", "ETL_OPTIONS_FILE": str(options)})


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_a_night_leaves_wrong_rows(databases: Databases, auto: Etl, name: str) -> None:
    """With all guards, the load says why it is full, or finds the rows; without this one, it leaves wrong rows."""
    guard, source, target = GUARDS[name], databases.operational, databases.reporting
    Path(auto.environment["ETL_OPTIONS_FILE"]).write_text(f"[orders]\nproof_nights = 0\n{guard.options}")
    source.execute(guard.before)
    settled(source)
    first = unguarded(auto, guard.take_out, "run") if guard.at_first else auto("run")
    assert (first.status, first.stderr) == (0, "")
    if guard.earlier:
        target.execute(guard.earlier)
        source.execute("UPDATE orders SET note = 'x' WHERE id = 1")
        assert auto("run").event("table.loaded")["load"] == "delta"
    source.execute(guard.day or "SELECT")
    target.execute(guard.live or "SELECT")
    said = auto("run", ETL_PUBLISH="defer").event("table.loaded")["reason"]
    done = unguarded(auto, guard.take_out, "run")
    assert (done.status, done.stderr) == (0, "")
    night = done.event("table.loaded")
    assert (said, night["load"]) == (guard.says, guard.night), night["reason"]
    assert wrong(auto, target)


def test_s_is_the_snapshot_s_xmin(databases: Databases, auto: Etl) -> None:
    """By its xmax, what a transaction had written that was open at the base is taken for old."""
    source = databases.operational
    source.execute(ORDERS)
    settled(source)
    with source.connect() as late:
        late.execute("BEGIN; UPDATE orders SET note = 'late' WHERE id = 4")
        source.execute("CREATE TABLE elsewhere (id int)")
        assert unguarded(auto, with_xmax, "run").event("table.loaded")["load"] == "full"
        late.execute("COMMIT")
    assert unguarded(auto, with_xmax, "run").event("table.loaded")["load"] == "unchanged"
    assert wrong(auto, databases.reporting)


DEFERRED = {
    "rows that others have written since": (without_strange, "UPDATE orders SET note = 'mine' WHERE id = 3"),
    "the number of rows after the merge": (without_balance, "DELETE FROM orders WHERE id = 3"),
}
"""Guards of the publish, and what is done to the live table between load and publish."""


@pytest.mark.parametrize("name", DEFERRED)
def test_without_a_guard_of_the_publish_staged_changes_follow_other_rows(
    databases: Databases, auto: Etl, name: str
) -> None:
    """With all guards, the publish says no (``test_deltas.py``); without this one, the live table has wrong rows."""
    take_out, live = DEFERRED[name]
    source, target = databases.operational, databases.reporting
    source.execute(ORDERS)
    settled(source)
    assert auto("run").status == 0
    source.execute("UPDATE orders SET note = 'monday' WHERE id = 1")
    staged = {"ETL_PUBLISH": "defer", "ETL_RUN_ID": "monday"}
    assert auto("run", **staged).event("table.loaded")["load"] == "delta"
    target.execute(live)
    assert unguarded(auto, take_out, "publish", "monday").status == 0
    assert wrong(auto, target)


def test_unchanged_tables_are_counted_if_a_merge_may_have_touched_them(databases: Databases, auto: Etl) -> None:
    """Without that, the action of a foreign key leaves an unchanged table without a row."""
    source, target = databases.operational, databases.reporting
    source.execute(f"{ORDERS} CREATE TABLE lines AS SELECT id FROM orders; ALTER TABLE lines ADD PRIMARY KEY (id)")
    settled(source)
    auto.environment["TABLES"] = "orders,lines"
    assert auto("run").status == 0
    target.execute("ALTER TABLE lines ADD FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE")
    source.execute("DELETE FROM orders WHERE id = 7")
    assert unguarded(auto, without_touched, "run").status == 0
    assert target.value("SELECT count(*) FROM lines") == 499


def test_the_definition_is_asked_again_after_the_rows_were_read(databases: Databases, auto: Etl) -> None:
    """Without that, a type that changes meanwhile leaves the unchanged rows as they were."""
    source = databases.operational
    source.execute(GUARDS["its types"].before)
    settled(source)
    assert auto("run").status == 0
    with Breaker(source).running() as breaker:
        etl = Etl(auto.environment | {"ETL_OPERATIONAL_URL": breaker.url})
        breaker.arm(Moment("before the count", "operational", Stage.COUNT))
        with ThreadPoolExecutor(1) as beside:
            run = beside.submit(unguarded, etl, without_second_look, "run")
            assert breaker.reached.wait(60)
            source.execute(GUARDS["its types"].day)
            breaker.release()
            done = run.result(60)
    assert (done.status, done.event("table.loaded")["load"]) == (0, "unchanged"), done
    assert wrong(auto, databases.reporting)


def test_a_snapshot_is_compared_by_all_that_it_has_seen(databases: Databases, auto: Etl) -> None:
    """By its xmin alone, an older snapshot is taken for a newer one, and the live table keeps the newer rows."""
    source, target = databases.operational, databases.reporting
    source.execute(ORDERS)
    settled(source)
    assert auto("run").status == 0
    held = {"ETL_RUN_ID": "held", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
    with source.connect() as session:
        session.execute("BEGIN; SELECT pg_current_xact_id()")
        with auto.started("snapshot", ETL_RUN_ID="held") as holder:
            known = "SELECT snapshot_id FROM etl.runs WHERE run_id = 'held' AND snapshot_id IS NOT NULL"
            until(lambda: target.rows(known), "the snapshot to be held")
            source.execute("UPDATE orders SET note = 'later' WHERE id = 3")
            assert auto("run").status == 0
            loaded = unguarded(auto, without_older, "run", **held)
            holder.communicate(timeout=60)
    assert loaded.event("table.loaded")["load"] == "unchanged"
    assert auto("publish", "held").status == 0
    assert target.value("SELECT note FROM orders WHERE id = 3") == "later"


# Guards of the history, which servers of their own break


@pytest.fixture
def shop() -> Iterator[Databases]:
    """A shop on two servers."""
    servers: list[Server] = []
    try:
        for _ in range(2):
            servers.append(Server.start(settings=FAST))
            servers[-1].psql("CREATE DATABASE shop")
        both = Databases(*(Database(server, "shop") for server in servers))
        both.operational.execute(ORDERS + "CREATE TABLE elsewhere (id int)")
        yield both
    finally:
        for server in servers:
            server.remove()


def burn(source: Database, number: int) -> None:
    """Uses transaction ids."""
    with source.connect() as session:
        for _ in range(number):
            session.execute("SELECT pg_current_xact_id()")


def nightly(shop: Databases, tmp_path: Path) -> Etl:
    """``etl`` for the shop, with load auto and without proofs."""
    (tmp_path / "options.toml").write_text("[orders]\nproof_nights = 0")
    options = {"ETL_LOAD": "auto", "TABLES": "orders", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    return Etl(shop.environment | options)


@pytest.mark.superuser("it replaces the source's storage")
def test_the_start_of_the_server_tells_a_copy_of_its_storage(shop: Databases, tmp_path: Path) -> None:
    """A copy has the same identifier and timeline; by and by its ids pass those of the base."""
    server, auto = shop.operational.server, nightly(shop, tmp_path)
    server.stop()
    copy = shutil.copytree(server.data, tmp_path / "copy")
    server.restart()
    shop.operational.execute("UPDATE orders SET note = 'lost' WHERE id = 1")
    assert unguarded(auto, without_history(), "run").event("table.loaded")["load"] == "full"
    server.stop()
    for path in server.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(copy, server.data, dirs_exist_ok=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", server.data], check=True)
    server.restart()
    shop.operational.execute("UPDATE orders SET note = 'new' WHERE id = 2")
    burn(shop.operational, 30)
    said = unguarded(auto, without_history(), "run", ETL_PUBLISH="defer").event("table.loaded")["reason"]
    assert said.startswith("the source has been restarted, and both sides differ")
    done = unguarded(auto, without_history("started"), "run")
    assert (done.status, done.event("table.loaded")["load"]) == (0, "unchanged"), done
    assert wrong(auto, shop.reporting)


@pytest.mark.superuser("it replaces the source's database")
def test_the_oid_of_the_database_tells_one_that_was_made_from_a_template(shop: Databases, tmp_path: Path) -> None:
    """It has all oids of its template, and the same server's ids."""
    server, auto = shop.operational.server, nightly(shop, tmp_path)
    server.psql("CREATE DATABASE was TEMPLATE shop")
    shop.operational.execute("UPDATE orders SET note = 'lost' WHERE id = 1")
    settled(shop.operational)
    assert unguarded(auto, without_history(), "run").event("table.loaded")["load"] == "full"
    server.psql("DROP DATABASE shop WITH (FORCE); ALTER DATABASE was RENAME TO shop")
    said = unguarded(auto, without_history(), "run", ETL_PUBLISH="defer").event("table.loaded")["reason"]
    assert said == "the source is another database"
    done = unguarded(auto, without_history("database"), "run")
    assert (done.status, done.event("table.loaded")["load"]) == (0, "unchanged"), done
    assert wrong(auto, shop.reporting)


CRASHES = {
    "the flush": (without_flush, "10s", "full"),
    "the start": (without_history("started"), "200ms", "delta"),
    "both": (each(without_flush, without_history("started")), "10s", "unchanged"),
}
"""What is taken out, how long the WAL writer sleeps, and the load of the night after the crash."""


@pytest.mark.superuser("it kills the source's server")
@pytest.mark.parametrize("without", CRASHES)
def test_a_crash_needs_the_flush_or_the_start_of_the_server(shop: Databases, tmp_path: Path, without: str) -> None:
    """A crash hands out again the ids whose WAL was not flushed. Each of two guards suffices; without both: wrong."""
    take_out, delay, load = CRASHES[without]
    auto, source = nightly(shop, tmp_path), shop.operational
    source.server.psql(f"ALTER SYSTEM SET wal_writer_delay = '{delay}'; SELECT pg_reload_conf()")
    with source.connect(options="-c synchronous_commit=off") as session:
        session.execute("INSERT INTO elsewhere VALUES (1)")  # this wakes the WAL writer up
        flushed = "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()"
        until(lambda: source.value(flushed), "the WAL is flushed")
        for _ in range(3):
            session.execute("INSERT INTO elsewhere VALUES (1)")
        session.execute("UPDATE orders SET note = 'lost' WHERE id = 1")
        assert unguarded(auto, take_out, "run").event("table.loaded")["load"] == "full"
        source.server.stop(signal.SIGQUIT)
    source.server.restart()
    source.execute("UPDATE orders SET note = 'new' WHERE id = 2")
    burn(source, 10)
    done = unguarded(auto, take_out, "run")
    assert (done.status, done.event("table.loaded")["load"]) == (0, load), done
    assert wrong(auto, shop.reporting) is (without == "both")
