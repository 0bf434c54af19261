"""The minimal privileges that docs/ gives as SQL are enough for a run, and for nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from tests import roles as suite
from tests.harness import Database, Databases, Etl
from tests.roles import grant
from tests.situations import ended, live, until


@dataclass(frozen=True)
class Roles:
    """Two databases, and the URLs of the roles that docs/ describes."""

    databases: Databases
    source: str
    target: str

    @property
    def etl(self) -> Etl:
        """``etl`` as these roles."""
        return Etl({"ETL_OPERATIONAL_URL": self.source, "ETL_REPORTING_URL": self.target, "ETL_VERIFY": "checksum"})


def make(database: Database, role: str, file: str) -> str:
    """Creates a role with the file's grants; returns its URL."""
    database.execute(f"CREATE ROLE {role} LOGIN")
    grant(database.server, database.name, role, file)
    return database.server.url(database.name, role)


@pytest.fixture
def roles(databases: Databases) -> Iterator[Roles]:
    """The roles, and a shop with what a table may have."""
    databases.operational.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'glad');"
        "CREATE TABLE orders (id int PRIMARY KEY, mood mood, note text UNIQUE, twice int GENERATED ALWAYS AS (id * 2)"
        " STORED, CHECK (id > 0)); COMMENT ON TABLE orders IS 'of the shop';"
        "INSERT INTO orders SELECT i, 'glad', i FROM generate_series(1, 100) AS i;"
        "CREATE VIEW dear AS SELECT * FROM orders WHERE id > 50;"
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM orders"
    )
    try:
        source = make(databases.operational, "etl_reader", "source-role.sql")
        target = make(databases.reporting, "etl_loader", "target-role.sql")
        yield Roles(databases, source, target)
    finally:
        for database, role in ((databases.operational, "etl_reader"), (databases.reporting, "etl_loader")):
            database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_the_documented_roles_are_enough(roles: Roles) -> None:
    """Check, two nights with a dependent view in between, verify and history; every way to publish."""
    etl, tables = roles.etl, {"TABLES": "orders,dear,kept"}
    assert etl("check", **tables).status == 0
    assert etl("run", **tables).status == 0
    with psycopg.connect(roles.target, autocommit=True) as loader:
        loader.execute("CREATE VIEW report AS SELECT count(*) FROM orders")
    done = etl("run", **tables)
    assert (done.status, done.stderr) == (0, "")
    assert etl("run", **tables, ETL_PUBLISH="defer", ETL_RUN_ID="waits").status == 0
    assert etl("publish", "waits").status == 0
    assert etl("verify", **tables).status == 0
    assert etl("history").status == 0
    assert roles.databases.reporting.value("SELECT count FROM report") == 100


def test_what_the_page_of_the_scheduler_types_makes_the_roles_of_three_tenants(databases: Databases) -> None:
    """As it is typed, by an administrator whose psql finds both databases."""
    page = (suite.DOCS / "scheduler.md").read_text(encoding="utf-8")
    found = re.search(r"1\. \*\*Databases.*?```console\n(.*?)```", page, re.DOTALL)
    assert found is not None
    typed = re.sub(r"^ *\$ ", "", found[1], flags=re.MULTILINE)
    source, target = databases.operational, databases.reporting
    of_source, of_target = typed.partition("psql -d reporting")[0], "".join(typed.partition("psql -d reporting")[1:])
    try:
        for database, name, commands in ((source, "acme", of_source), (target, "reporting", of_target)):
            renamed = re.sub(rf"(-d |database=|\.sql ){name}\b", rf"\g<1>{database.name}", commands)
            assert typing(database, renamed) == ""
        for tenant in ("acme", "globex", "initech"):
            assert target.value(f"SELECT has_schema_privilege('etl_loader', '{tenant}', 'CREATE')")
    finally:
        for database, role in ((source, "etl_reader"), (target, "etl_loader")):
            database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def typing(database: Database, commands: str) -> str:
    """Has a shell run commands for the database's server; returns what they say on standard error."""
    server = database.server
    variables = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    environment = variables | {"PATH": f"{server.bin}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", commands], check=False, env=environment, cwd=suite.DOCS.parent, capture_output=True, text=True
    ).stderr


@pytest.mark.skipif(not suite.WANTED, reason="the suite runs as a superuser; `make test-roles` runs it as the roles")
def test_the_suite_runs_as_roles_that_are_no_superusers(databases: Databases) -> None:
    """``make test-roles`` relies on this."""
    for database in (databases.operational, databases.reporting):
        with psycopg.connect(database.etl_url) as session:
            row = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            assert row == (False,)


@pytest.mark.parametrize(
    "statement", ["INSERT INTO orders (id) VALUES (1000)", "DELETE FROM orders", "DROP TABLE orders"]
)
def test_the_source_role_cannot_write(roles: Roles, statement: str) -> None:
    """Not by default, and not after it turns read-only off: it lacks the privileges."""
    with psycopg.connect(roles.source, autocommit=True) as reader:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute(statement)
        reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)


TRAPS = """
CREATE TABLE caught (who text, what text);
GRANT INSERT ON caught TO PUBLIC;
CREATE FUNCTION trap(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.caught VALUES (current_user, what); END $$;
CREATE FUNCTION count(int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap('count'); RETURN 0; END $$;
CREATE FUNCTION format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('format'); RETURN ''; END $$;
CREATE FUNCTION to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('to_regclass'); RETURN NULL; END $$;
CREATE FUNCTION coalesced(name, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('= of name and text'); RETURN true; END $$;
CREATE FUNCTION same(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('= of texts'); RETURN true; END $$;
CREATE FUNCTION same(oid, oid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('= of oids'); RETURN true; END $$;
CREATE OPERATOR = (LEFTARG = name, RIGHTARG = text, FUNCTION = coalesced);
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = oid, FUNCTION = same);
CREATE FUNCTION hash_array_extended(anyarray, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('hash'); RETURN 0; END $$;
CREATE FUNCTION record_send(record) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN
  PERFORM public.trap('record_send'); RETURN ''; END $$;
CREATE TYPE public.text AS (trap int);
CREATE TABLE pg_class (trap int); CREATE TABLE runs (trap int); CREATE TABLE loads (trap int);
"""


def test_what_another_user_made_in_public_has_no_effect(roles: Roles) -> None:
    """Functions, operators, a type and catalogs with the names that etl uses: none is called, and rows are right."""
    reporting = roles.databases.reporting
    reporting.execute("CREATE ROLE mallory LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO mallory")
    try:
        mallory = Database(reporting.server, reporting.name)
        mallory.server.psql(f"SET ROLE mallory; {TRAPS}", mallory.name)
        reporting.execute("ALTER ROLE etl_loader SET search_path = public, pg_catalog")
        with psycopg.connect(roles.target, autocommit=True) as careless:
            careless.execute("SELECT count(1)")
        assert reporting.rows("DELETE FROM public.caught RETURNING *") == [("etl_loader", "count")]  # the traps work
        for publish in ("run", "defer"):
            done = roles.etl("run", TABLES="orders", ETL_PUBLISH=publish, ETL_RUN_ID=f"by-{publish}")
            assert (done.status, done.stderr) == (0, "")
        assert roles.etl("publish", "by-defer").status == 0
        assert roles.etl("verify", TABLES="orders").status == 0
        assert roles.etl("history").status == 0
        assert reporting.rows("SELECT * FROM public.caught") == []
        assert reporting.rows("SELECT pg_catalog.count(*), pg_catalog.sum(id) FROM public.orders") == [(100, 5050)]
    finally:
        reporting.execute("DROP OWNED BY mallory CASCADE; DROP ROLE mallory")


@pytest.mark.superuser("keeps the table that it has made")
def test_the_loader_may_touch_nothing_but_its_own(roles: Roles) -> None:
    """Another role's table of the same name stops the publish with the reason, and is not changed."""
    reporting = roles.databases.reporting
    reporting.execute("CREATE TABLE orders AS SELECT 'mine' AS note")
    before = live(reporting)
    done = roles.etl("run", TABLES="orders")
    assert done.status == 1
    assert "table public.orders belongs to postgres, of which etl_loader is no member" in done.stderr
    assert live(reporting) == before
    assert roles.databases.staging_tables() == []


def test_a_role_that_may_create_no_schema_any_more_swaps(roles: Roles) -> None:
    """Only loads of changes need one more schema. `etl check` names it, and the holder of a fan-out knows it, too."""
    etl, tables, target = roles.etl, {"TABLES": "orders,dear"}, roles.databases.reporting
    roles.databases.operational.execute("ALTER TABLE orders ADD COLUMN night int DEFAULT 1")
    assert etl("run", **tables).status == 0
    target.execute(f"REVOKE CREATE ON DATABASE {target.name} FROM etl_loader")
    roles.databases.operational.execute("UPDATE orders SET night = 2 WHERE id = 1")
    why = (
        "rows cannot be merged: the target lacks schema etl_staginggone_public, which role etl_loader may not create;"
        f" GRANT CREATE ON DATABASE {target.name} TO etl_loader"
    )
    checked = etl("check", **tables)
    assert checked.status == 0
    assert f"the next load copies all rows: {why}" in " ".join(checked.stdout.split())
    with etl.started("snapshot", ETL_RUN_ID="tonight", **tables) as holder:
        is_held = "SELECT FROM etl.runs WHERE run_id = 'tonight' AND snapshot_id IS NOT NULL"
        until(lambda: target.rows(is_held), "the snapshot in the ledger")
        shared = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
        done = etl("run", **tables, **shared)
        assert (done.status, done.stderr) == (0, "")
        assert {event["reason"] for event in done.events if event.get("table") == "public.orders"} == {why}
        assert ended(holder).event("run.decided")["way"] == "swap"
    before = live(target)
    assert etl("publish", "tonight").stderr == ""
    assert not {*before} & {*live(target)}
