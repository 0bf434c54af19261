"""The nights whose pages the acceptance tests open: runs of ``etl``, and nights that are written into the ledger.

A night of thousands of tables, or a table that has been slow for days, would take a run too long: ``SCENES`` says which
nights are rows of tests/sql/nights.sql. All others are real runs between two servers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg import sql

from etl.ledger import tables as ledger_tables
from servers.postgres import Server
from tests.harness import CANARY, Database, Databases, Etl
from tests.integration.test_hostile_names import NAMES
from tests.situations import ended, gate_closed, make_gated, make_shop, settled, until

NIGHTS = Path(__file__).parent / "sql" / "nights.sql"

LAST = "2026-11-28"
"""The newest of the nights that are written into the ledger, and the id of its run."""

ROW = "r0w of a customer"
"""A value of a row, which no page may show."""

MARKUP = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=2>',
    "</script><script>window.hacked=3</script>",
    "</style></title><svg/onload=window.hacked=4>",
    "' onmouseover='window.hacked=5' onfocus='window.hacked=6",
    "javascript:window.hacked=7",
    "{{ 7 * 7 }}{% raw %}{# no comment",
    "<!--",
    "]]>&lt;b&gt; &amp;amp; &#60;",
    "\u202egnp.elbat\u2066 <b>\u2069",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "zero\u200bwidth\ufeff",
    "u\u0308bersicht",
    "tab\tand\r\nline",
    " \u3000spaces ",
    "W" * 63,
    "".join(f"<{n:x}>" for n in range(100, 112)) + "\U0001f319",
)
"""Names that would run as a script, break out of an attribute or turn the text around, if a page did not escape them.

PostgreSQL's names have at most 63 bytes.
"""

TABLES, PAST, SHARDS = 1_000, 30, 50


@dataclass(frozen=True, slots=True)
class Scene:
    """The page of a run, and what ``etl report --json`` says of the same run."""

    file: Path
    report: dict[str, Any]
    seconds: float
    """How long ``etl report --output`` took."""

    @property
    def night(self) -> dict[str, Any]:
        """The night as data."""
        night: dict[str, Any] = self.report["night"]
        return night

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables of the run by their names."""
        return {table["table"]: table for table in self.night["tables"]}

    @property
    def html(self) -> str:
        """The file's text."""
        return self.file.read_bytes().decode()


@dataclass(frozen=True, slots=True)
class Stage:
    """Two databases for one scene, and a folder for its page."""

    databases: Databases
    folder: Path

    @property
    def etl(self) -> Etl:
        """``etl``. Both its URLs have a password, which the servers do not ask for, and which no page may show."""
        secret = quote(CANARY, safe="")
        urls = self.databases.environment.items()
        return Etl({name: url.replace("@", f":{secret}@", 1) for name, url in urls} | {"TABLES": "*"})

    def run(self, run_id: str = "tonight", status: int = 0, **variables: str) -> None:
        """Runs ``etl run``, which has to end with this status."""
        done = self.etl("run", ETL_RUN_ID=run_id, **variables)
        assert done.status == status, done.stderr

    def page(self, run_id: str = "tonight", name: str = "night") -> Scene:
        """Writes the page of a run; reads the same run as JSON."""
        file = self.folder / f"{name}.html"
        began = time.perf_counter()
        done = self.etl("report", run_id, "--output", str(file))
        seconds = time.perf_counter() - began
        assert (done.status, done.stderr) == (0, ""), done
        assert str(file) in done.stdout
        assert done.stdout.count("\n") == 1, "one line names the file"
        told = self.etl("report", run_id, "--json")
        assert (told.status, told.stderr) == (0, ""), told
        return Scene(file, json.loads(told.stdout), seconds)

    def days_apart(self) -> None:
        """Puts a day between each two runs, which were minutes apart; the last one stays."""
        moments = {"runs": ("started_at", "finished_at", "snapshot_at"), "loads": ("started_at", "finished_at")}
        moments["loads"] += ("published_at", "told_at")
        self.databases.reporting.execute(
            "CREATE TEMPORARY TABLE days AS SELECT run_id,"
            " interval '1 day' * (row_number() OVER (ORDER BY started_at DESC) - 1) AS ago FROM etl.runs;"
            + ";".join(
                f"UPDATE etl.{table} t SET {', '.join(f'{name} = t.{name} - ago' for name in names)}"
                " FROM days d WHERE d.run_id = t.run_id"
                for table, names in moments.items()
            )
        )

    def nights(self, tables: int, nights: int, shards: int = 0) -> None:
        """Writes nights into the ledger that no run has made."""
        reporting = self.databases.reporting
        for statement in ledger_tables.creation():
            reporting.execute(statement.decode())
        given = {"tables": tables, "nights": nights, "shards": shards, "last": f"{LAST} 02:00:00+00"}
        options = [word for name, value in given.items() for word in ("-v", f"{name}={value}")]
        reporting.server.psql(NIGHTS.read_text(), reporting.name, *options)


def good(stage: Stage) -> Scene:
    """A published night after three others: one table has changed, one has not, one without a key is copied whole."""
    make_shop(stage.databases)
    for night in range(3):
        stage.run(f"night-{night}")
        stage.databases.operational.execute(f"UPDATE orders SET total = 0 WHERE id = {night + 1}")
        settled(stage.databases.operational)
    stage.run()
    stage.days_apart()
    return stage.page()


def first(stage: Stage) -> Scene:
    """The first night, with nothing before it."""
    make_shop(stage.databases)
    stage.run()
    return stage.page()


def failed(stage: Stage) -> Scene:
    """One of three tables fails, because a row of it breaks a check."""
    source, target = stage.databases.operational, stage.databases.reporting
    source.execute(
        "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n; CREATE TABLE audit AS SELECT 1 AS id;"
        f"CREATE TABLE items AS SELECT 1 AS id, '{ROW}' AS name"
    )
    stage.run("yesterday")
    _make_odd(source, target, "items", "odd_numbers")
    stage.run(status=1)
    stage.days_apart()
    return stage.page()


def stopped(stage: Stage) -> Scene:
    """The gate has stopped the night, because a table has lost its rows."""
    stage.databases.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 300);"
        "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items SELECT generate_series(1, 300)"
    )
    stage.run("yesterday")
    stage.databases.operational.execute("DELETE FROM orders WHERE id > 9")
    stage.run(status=1)
    stage.days_apart()
    return stage.page()


def standing(stage: Stage) -> tuple[Scene, Scene]:
    """A night that goes on: one table is staged, one stands still, one waits. Then its process is killed."""
    source, target = stage.databases.operational, stage.databases.reporting
    make_gated(source)
    source.execute("CREATE TABLE small AS SELECT 1 AS id; CREATE VIEW waits AS SELECT 1 AS id; ANALYZE")
    one_by_one = stage.etl.having(TABLES="gated,small,waits", ETL_LOAD="full", ETL_JOBS="1")
    for night in range(3):
        assert one_by_one("run", ETL_RUN_ID=f"night-{night}").status == 0
    stage.days_apart()
    with gate_closed(source), one_by_one.started("run", ETL_RUN_ID="tonight") as process:
        told = "SELECT count(*) FROM etl.loads WHERE run_id = 'tonight' AND told_at IS NOT NULL"
        until(lambda: target.value(told), "progress in the ledger")
        goes_on = stage.page(name="running")
        assert process.poll() is None
        process.kill()
        process.wait()
        until(lambda: stage.etl("watch", "tonight", "--json").status == 1, "the end of its sessions")
        return goes_on, stage.page(name="dead")


def of_a_job(stage: Stage) -> Scene:
    """A night of one job, in a ledger that has another job's nights, too."""
    source = stage.databases.operational
    source.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE others AS SELECT 1 AS id")
    stage.run("yesterday", ETL_JOB="acme", TABLES="orders")
    stage.run("of-another-job", ETL_JOB="globex", TABLES="others")
    stage.run(ETL_JOB="acme", TABLES="orders")
    return stage.page()


def sharded(stage: Stage) -> Scene:
    """A night of three processes, each with its shard, and a publish."""
    source = stage.databases.operational
    source.execute(
        ";".join(
            f"CREATE TABLE t{n} (id int PRIMARY KEY, note text);"
            f"INSERT INTO t{n} SELECT i, repeat('x', 90) FROM generate_series(1, {20_000 // n}) i"
            for n in range(1, 9)
        )
    )
    one = {"ETL_RUN_ID": "tonight", "ETL_PLAN": "run"}
    assert stage.etl("plan", "--shards", "3", "--save", ETL_RUN_ID="tonight").status == 0
    shard = Etl({name: value for name, value in stage.etl.environment.items() if name != "TABLES"} | one)
    with shard.started("snapshot") as holder:
        for number in ("0", "1", "2"):
            done = shard("run", ETL_SNAPSHOT="run", ETL_PUBLISH="defer", ETL_SHARD=number)
            assert done.status == 0, done.stderr
        assert ended(holder).status == 0
    assert shard("publish", "tonight").status == 0
    return stage.page()


def hostile(stage: Stage) -> Scene:
    """A published night of tables whose names and notes are made to run as scripts."""
    names = _make_hostile(stage)
    options = stage.folder / "options.toml"
    options.write_text("\n".join(f"[{_toml(_quoted(name))}]\nnote = {_toml(name)}" for name in names))
    for run_id in ("yesterday", "tonight"):
        stage.run(run_id, ETL_OPTIONS_FILE=str(options))
    return stage.page()


def hostile_error(stage: Stage) -> Scene:
    """A night that failed because of a check whose name is made to run as a script."""
    _make_hostile(stage)
    stage.run("yesterday")
    table = sql.Identifier(MARKUP[0]).as_string(None)
    _make_odd(stage.databases.operational, stage.databases.reporting, table, MARKUP[1])
    stage.run(status=1)
    return stage.page()


def _make_hostile(stage: Stage) -> list[str]:
    names = [*NAMES, *MARKUP]
    for name in names:
        table = sql.Identifier(name).as_string(None)
        made = f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} VALUES (1)"
        stage.databases.operational.execute(made)
    return names


def _quoted(name: str) -> str:
    """A table of the schema public, as the options file names it."""
    return f"public.{sql.Identifier(name).as_string(None)}"


def _toml(text: str) -> str:
    """A text of TOML, which has JSON's escapes but those of surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _make_odd(source: Database, target: Database, table: str, check: str) -> None:
    """Gives a table of the source a check that its rows pass there, and break in the target."""
    target.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    source.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    name = sql.Identifier(check).as_string(None)
    source.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (public.odd(id))")


def shop(stage: Stage) -> Scene:
    """Rows: thirty nights of a shop's 24 tables in four shards, of which one is slow since four nights."""
    stage.nights(24, PAST, 4)
    return stage.page(LAST)


def many(stage: Stage) -> Scene:
    """Rows: thirty nights of a thousand tables."""
    stage.nights(TABLES, PAST)
    stage.page(LAST)  # makes the indexes of the ledger, which a run would have made
    return stage.page(LAST)


def shards(stage: Stage) -> Scene:
    """Rows: a few nights of fifty shards."""
    stage.nights(200, 8, SHARDS)
    return stage.page(LAST)


LONG = "the server said: " + "a line of an error that goes on and on, " * 15
UNBROKEN = "x" * 600


def errors(stage: Stage) -> Scene:
    """Rows: a night in which three tables failed, with errors of 600 letters and more, one of them without a space."""
    stage.nights(24, 10, 4)
    run_error = "3 of 24 tables failed (public.orders, public.events, crm.tickets), the first of them with: " + LONG
    stage.databases.reporting.execute(
        f"UPDATE etl.runs SET status = 'failed', error = $${run_error}$$ WHERE run_id = '{LAST}';"
        f"UPDATE etl.loads SET status = 'failed', published_at = NULL, given_up = true, error = $${run_error}$$"
        f" WHERE run_id = '{LAST}';"
        "UPDATE etl.loads SET given_up = false, rows = NULL, bytes = NULL, copy_seconds = NULL,"
        " verify_seconds = NULL, index_seconds = NULL, analyze_seconds = NULL,"
        f" error = CASE table_name WHEN 'crm.tickets' THEN '{UNBROKEN}' ELSE $${LONG}$$ || table_name END"
        f" WHERE run_id = '{LAST}' AND table_name IN ('public.orders', 'public.events', 'crm.tickets')"
    )
    return stage.page(LAST)


SCENES: dict[str, Callable[[Stage], Scene | tuple[Scene, Scene]]] = {
    "good": good,
    "first": first,
    "failed": failed,
    "stopped": stopped,
    "running": standing,
    "dead": standing,
    "of a job": of_a_job,
    "sharded": sharded,
    "hostile": hostile,
    "hostile error": hostile_error,
    "shop": shop,
    "many": many,
    "shards": shards,
    "errors": errors,
}


@dataclass(frozen=True, slots=True)
class Scenes:
    """The scenes by their names; each is made once, when it is asked for."""

    operational: Server
    reporting: Server
    folder: Path
    made: dict[str, Scene] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Scene:
        if name not in self.made:
            made = SCENES[name](self.stage(name))
            names = [one for one in SCENES if SCENES[one] is SCENES[name]]
            self.made.update(zip(names, made if isinstance(made, tuple) else [made], strict=True))
        return self.made[name]

    def stage(self, name: str) -> Stage:
        """Two fresh databases and a folder. The databases go when the servers do."""
        database = "page_" + name.replace(" ", "_")
        for server in (self.operational, self.reporting):
            server.psql(f"CREATE DATABASE {database} TEMPLATE template0")
        folder = self.folder / database
        folder.mkdir()
        sides = (Database(server, database) for server in (self.operational, self.reporting))
        return Stage(Databases(*sides), folder)
