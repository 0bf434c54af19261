"""A load that fails: every live table stays as it was, exit status 1, a clear line, and the next run succeeds."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from etl.model.errors import one_line
from tests.harness import Database, Databases, Done, Etl
from tests.situations import ledger, live, small_tablespace

TABLES = "orders,items"
SECRET = "row-nobody-may-read"


@dataclass(frozen=True)
class Failure:
    """A failure: its cause, the side, its removal, and the expected message."""

    breaks: str
    mends: str
    says: str
    on: str = "operational"


FAILURES = {
    "a check constraint's function is missing in the target": Failure(
        "CREATE FUNCTION fine(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';"
        "ALTER TABLE items ADD CONSTRAINT good CHECK (public.fine(id))",
        "ALTER TABLE items DROP CONSTRAINT good",
        "public.items: check good of public.items needs function public.fine(integer), which the target lacks; make it",
    ),
    "an index's function is missing in the target": Failure(
        "CREATE FUNCTION half(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2';"
        "CREATE INDEX halves ON items (public.half(id))",
        "DROP INDEX halves",
        "public.items: index halves of public.items needs function public.half(integer), which the target lacks; make",
    ),
    "a type cannot be made in the target": Failure(
        "CREATE TYPE pair;"
        "CREATE FUNCTION pair_in(cstring) RETURNS pair IMMUTABLE STRICT LANGUAGE internal AS 'boolin';"
        "CREATE FUNCTION pair_out(pair) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'boolout';"
        "CREATE TYPE pair (INPUT = pair_in, OUTPUT = pair_out, INTERNALLENGTH = 1, PASSEDBYVALUE, ALIGNMENT = char);"
        "ALTER TABLE items ADD COLUMN odd pair",
        "ALTER TABLE items DROP COLUMN odd",
        "type public.pair is a table's row type or a base type, which cannot be made in the target",
    ),
    "a check fails on the target's side": Failure(
        "CREATE FUNCTION fine(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';"
        "ALTER TABLE items ADD CONSTRAINT good CHECK (public.fine(note))",
        "ALTER TABLE items DROP CONSTRAINT good",
        'table.failed public.items: check constraint "good" of relation "items" is violated by some row',
    ),
    "a unique index is violated on the target's side": Failure(
        "CREATE FUNCTION same(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
        "CREATE UNIQUE INDEX once ON items (public.same(note))",
        "DROP INDEX once",
        'table.failed public.items: could not create unique index "once"',
    ),
    "the target's enum is another": Failure(
        "CREATE TYPE mood AS ENUM ('sad'); ALTER TABLE items ADD COLUMN mood mood DEFAULT 'sad'",
        "ALTER TABLE items DROP COLUMN mood",
        "type public.mood differs: the source has CREATE TYPE public.mood AS ENUM ('sad'), the target",
    ),
    "the source's role may not read a table any more": Failure(
        "REVOKE SELECT ON items FROM reader",
        "GRANT SELECT ON items TO reader",
        "role reader of the operational database may not read public.items; GRANT SELECT ON public.items TO reader",
    ),
    "the target's role may not create tables any more": Failure(
        "REVOKE CREATE ON SCHEMA public FROM writer",
        "GRANT CREATE ON SCHEMA public TO writer",
        "the target does not let role writer create tables in schema public; GRANT CREATE ON SCHEMA public TO writer",
        on="reporting",
    ),
}

# Objects of the target that give a source's definition another meaning there, or none.
TARGET_OWN = (
    "CREATE FUNCTION public.fine(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 IS NULL';"
    f"CREATE FUNCTION public.same(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT '{SECRET}'$$;"
    "CREATE TYPE public.mood AS ENUM ('none')"
)


@contextmanager
def role(database: Database, name: str) -> Iterator[Database]:
    """Makes a role without rights and gives the database as seen by it."""
    database.execute(f"CREATE ROLE {name} LOGIN")
    try:
        yield database
    finally:
        database.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.fixture
def copied(databases: Databases) -> Iterator[Databases]:
    """Two tables, with grants for two roles that have no other privileges, and the target's own objects."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT g AS id, 'yesterday' AS day FROM generate_series(1, 1000) g;"
        f"CREATE TABLE items AS SELECT g AS id, '{SECRET}' || g AS note FROM generate_series(1, 1000) g"
    )
    databases.reporting.execute(TARGET_OWN)
    with role(databases.operational, "reader"), role(databases.reporting, "writer"):
        databases.operational.execute("GRANT SELECT ON orders, items TO reader")
        databases.reporting.execute(
            f"GRANT CREATE ON SCHEMA public TO writer; GRANT CREATE ON DATABASE {databases.reporting.name} TO writer"
        )
        yield databases


@pytest.fixture
def etl(copied: Databases) -> Etl:
    """``etl`` as the two roles, after a first run."""
    sides = {"ETL_OPERATIONAL_URL": (copied.operational, "reader"), "ETL_REPORTING_URL": (copied.reporting, "writer")}
    environment = {name: side.server.url(side.name, user) for name, (side, user) in sides.items()}
    etl = Etl(environment | {"TABLES": TABLES})
    first = etl("run")
    assert first.status == 0, first.stderr
    copied.operational.execute("UPDATE orders SET day = 'today'")
    return etl


def assert_failed(done: Done, databases: Databases, before: object, says: str) -> None:
    """The run failed properly: reported, recorded, nothing touched, nothing left, and no row in its message."""
    assert done.status == 1
    assert says in done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert live(databases.reporting) == before
    assert databases.reporting.rows("SELECT DISTINCT day FROM orders") == [("yesterday",)]
    assert databases.staging_tables() == []
    status, error = ledger(databases.reporting)
    assert status == "failed"
    assert error
    recorded = databases.reporting.rows("SELECT error FROM etl.loads WHERE run_id = 'tonight' AND status <> 'failed'")
    assert recorded == []
    said = f"{done.stdout}{done.stderr}{databases.reporting.rows('TABLE etl.loads')}{error}"
    assert SECRET not in said
    finished = done.event("run.finished")
    assert (finished["status"], finished["error"]) == ("failed", error)


@pytest.mark.parametrize("name", FAILURES)
def test_a_load_that_fails_touches_nothing_and_the_next_run_succeeds(copied: Databases, etl: Etl, name: str) -> None:
    """Both tables stay as they were, even the one whose load succeeded, and the message has no value of a row."""
    failure, before = FAILURES[name], live(copied.reporting)
    side = getattr(copied, failure.on)
    side.execute(failure.breaks)
    assert_failed(etl("run", ETL_RUN_ID="tonight"), copied, before, failure.says)
    side.execute(failure.mends)
    done = etl("run")
    assert (done.status, done.stderr) == (0, "")
    assert copied.reporting.rows("SELECT DISTINCT day FROM orders") == [("today",)]


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None or not Path("/dev/shm").is_mount(),
    reason="mounts a small tmpfs: run the tests as root, on Linux",
)
def test_a_full_disk_touches_nothing_and_the_next_run_succeeds(copied: Databases, etl: Etl) -> None:
    """The disk fills in the middle of a COPY; the run's error says so, and the space is free again."""
    copied.operational.execute("CREATE TABLE big AS SELECT repeat('x', 1000) AS wide FROM generate_series(1, 20000)")
    copied.operational.execute("GRANT SELECT ON big TO reader")
    before = live(copied.reporting)
    with small_tablespace(copied.reporting, "4m") as small:
        copied.reporting.execute(f"GRANT CREATE ON TABLESPACE {small} TO writer")
        copied.reporting.execute(f"ALTER ROLE writer SET default_tablespace = {small}")
        done = etl("run", ETL_RUN_ID="tonight", TABLES=f"{TABLES},big")
        assert_failed(done, copied, before, "table.failed public.big: could not extend file")
        assert "No space left on device" in done.stderr
        copied.reporting.execute("ALTER ROLE writer RESET default_tablespace")
        assert etl("run", TABLES=f"{TABLES},big").status == 0
    assert copied.reporting.rows("SELECT count(*) FROM big") == [(20000,)]


def test_all_tables_that_fail_are_told_in_one_night(copied: Databases, etl: Etl) -> None:
    """One failure does not hide another: each table is tried, and each error is logged and in the ledger."""
    copied.operational.execute("CREATE TABLE more AS SELECT 1 AS id; GRANT SELECT ON more TO reader")
    copied.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    copied.operational.execute(
        "CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        "ALTER TABLE more ADD CHECK (public.odd(id)); ALTER TABLE orders ADD CHECK (public.odd(id))"
    )
    done = etl("run", TABLES="orders,items,more", ETL_RUN_ID="tonight")
    assert done.status == 1
    violated = "check constraint"
    failed = sorted(line for line in done.stderr.splitlines() if line.startswith("etl: table.failed"))
    assert [line.partition(violated)[0] for line in failed] == [
        "etl: table.failed public.more: ",
        "etl: table.failed public.orders: ",
    ]
    assert "2 of 3 tables failed" in done.stderr
    assert copied.reporting.rows("SELECT table_name, status FROM etl.loads WHERE run_id = 'tonight' ORDER BY 1") == [
        ("public.items", "failed"),
        ("public.more", "failed"),
        ("public.orders", "failed"),
    ]


def test_a_database_that_cannot_be_reached_is_told_with_its_url_without_password(etl: Etl) -> None:
    """Exit status 1, and one line with the side, the URL and the reason, without the password."""
    gone = "postgresql://etl:hunter2@127.0.0.1:1/shop"
    for side in ("OPERATIONAL", "REPORTING"):
        done = etl("run", **{f"ETL_{side}_URL": gone})
        assert done.status == 1
        assert f"etl: {side.lower()} database postgresql://etl@127.0.0.1:1/shop cannot be reached" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "call",
    [
        "date_trunc({0}, now())",
        "date_part({0}, now())",
        "extract({0} from current_date)",
        "extract({0} from current_time)",
        "extract({0} from interval '1 day')",
        "decode('x', {0})",
        "convert_from('x', {0})",
        "pg_size_bytes({0})",
        "to_number({0}, '9')",
    ],
)
def test_no_function_shows_the_value_that_it_refuses(databases: Databases, call: str) -> None:
    """A view or a mask may call one with a column; the name of a setting, by contrast, is shown."""
    for value, is_shown in ((call.format("'s3cr3t'"), False), ("set_config('work_mem', 's3cr3t', false)", True)):
        with pytest.raises(psycopg.Error) as raised:
            databases.reporting.rows(f"SELECT {value}")
        assert ("s3cr3t" in one_line(raised.value)) == is_shown
