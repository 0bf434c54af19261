"""``etl retire``: a live table that left TABLES is dropped, or marked as one that stays."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import Database, Databases, Etl, environment_of
from tests.lambda_runtime import function
from tests.situations import settled, until, waiting

TABLES = {"TABLES": "a"}


@pytest.fixture
def left(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night with ``a``, ``b`` and ``c``; TABLES is ``a`` alone by now."""
    databases.operational.execute(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, note text);"
        "CREATE INDEX b_note ON b (note); INSERT INTO b SELECT n, n FROM generate_series(1, 12) n;"
        "CREATE TABLE c (id int)"
    )
    settled(databases.operational)
    assert etl("run", TABLES="a,b,c", ETL_RUN_ID="first").status == 0
    return Etl(etl.environment | TABLES)


def left_behind(etl: Etl) -> list[str]:
    """The tables that ``etl check`` lists as left behind."""
    return [one["subject"] for one in json.loads(etl("check", "--json").stdout) if "is left behind" in one["text"]]


def exists(database: Database, name: str) -> bool:
    """Whether a table is there."""
    return bool(database.value(f"SELECT to_regclass('{name}') IS NOT NULL"))


def test_a_table_is_dropped_if_somebody_says_so(databases: Databases, left: Etl) -> None:
    """With --yes nothing is asked. The answer says what the table was; check and the view do not have it any more."""
    assert left_behind(left) == ["public.b", "public.c"]
    done = left("retire", "b", "--yes", "--json")
    assert done.status == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["table"], answer["dropped"], answer["rows"], answer["dropped_with_it"]) == ("public.b", True, 12, [])
    assert not exists(databases.reporting, "b")
    assert left_behind(left) == ["public.c"]
    assert databases.reporting.rows("SELECT table_name FROM etl.freshness ORDER BY 1") == [("a",), ("c",)]
    again = left("retire", "b", "--yes")
    assert (again.status, again.stderr.count("\n")) == (2, 1)
    assert "public.b is no table to retire: the target has no table of that name" in again.stderr


def test_a_table_that_is_kept_is_marked(databases: Databases, left: Etl) -> None:
    """It asks nothing, and check does not list it; a later run that has the table takes it back."""
    done = left("retire", "public.b", "--keep")
    assert (done.status, done.stderr) == (0, "")
    assert "public.b stays as it is, as of 20" in done.stdout
    assert exists(databases.reporting, "b")
    assert left_behind(left) == ["public.c"]
    retired = "SELECT retired_at IS NOT NULL, last_run_failed FROM etl.freshness WHERE table_name = 'b'"
    assert databases.reporting.rows(retired) == [(True, False)]
    assert left("run", TABLES="a,b").status == 0
    assert databases.reporting.rows(retired) == [(False, False)]
    assert left_behind(left) == ["public.b", "public.c"]
    assert left("retire", "b", "--keep").status == 0
    assert left("retire", "b", "--yes").status == 0, "what is kept may be dropped later"


@pytest.mark.parametrize("tables", ["a,b", "*", "public.b"])
def test_a_table_that_tables_covers_is_refused(databases: Databases, left: Etl, tables: str) -> None:
    """The next run would bring it back."""
    for flag in ("--yes", "--keep"):
        done = left("retire", "b", flag, TABLES=tables)
        assert (done.status, done.stdout) == (2, "")
        assert "public.b is no table to retire, because TABLES covers it" in done.stderr
    assert exists(databases.reporting, "b")


def test_a_table_is_refused_that_runs_have_under_another_name(databases: Databases, left: Etl, tmp_path: Path) -> None:
    """Without the options file, it would drop a table of each night: TABLES covers b, which is sales.b there."""
    options = tmp_path / "options.toml"
    options.write_text('[b]\nrename = "sales.b"\n')
    covered = {"TABLES": "a,b", "ETL_OPTIONS_FILE": str(options)}
    assert left("run", **covered).status == 0
    for flag in ("--yes", "--keep"):
        done = left("retire", "sales.b", flag, TABLES="a,b")
        assert (done.status, "because the last run copied public.b to it, which TABLES covers" in done.stderr) == (
            2,
            True,
        )
    assert left("retire", "b", "--yes", **covered).status == 0, "the table of the nights before the rename"
    assert left("retire", "sales.b", "--yes", TABLES="a").status == 0
    assert not exists(databases.reporting, "b")
    assert not exists(databases.reporting, "sales.b")


def test_without_a_terminal_nothing_is_asked(databases: Databases, left: Etl) -> None:
    """A script has to say --yes; the error says so before anything is connected to."""
    done = left("retire", "b", ETL_OPERATIONAL_URL="postgresql://nobody@127.0.0.1:1/x")
    assert done.status == 2
    assert "there is no terminal to ask on; add --yes to drop it, or --keep" in done.stderr
    assert exists(databases.reporting, "b")


def asked(etl: Etl, answer: str, *arguments: str) -> tuple[int, str]:
    """Runs ``etl`` on a terminal on which somebody answers; returns its exit status and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "etl", *arguments],
        env=environment_of(etl.environment), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown, deadline, is_answered = "", time.monotonic() + 60, False
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 4096).decode()
            except OSError:  # the terminal's other side is closed
                break
        if not is_answered and "[y/N]" in shown:
            os.write(ours, answer.encode())
            is_answered = True
    os.close(ours)
    return process.wait(30), " ".join(shown.split())


def test_on_a_terminal_it_asks(databases: Databases, left: Etl) -> None:
    """The question says what is to be dropped, and what goes with it; anything but y or yes changes nothing."""
    databases.reporting.execute(
        "CREATE INDEX b_mine ON b (id, note); ALTER TABLE b ADD CONSTRAINT mine CHECK (id > 0);"
        "CREATE POLICY everyone ON b; GRANT SELECT ON b TO PUBLIC; GRANT SELECT (id) ON b TO pg_monitor"
    )
    for answer in ("n\n", "\n", "\x04"):
        status, shown = asked(left, answer, "retire", "b")
        assert (status, exists(databases.reporting, "b")) == (1, True)
        assert "Drop table public.b of the target (12 rows, " in shown
        assert (
            "with it goes what the reporting side added: constraint mine, index b_mine, policy everyone,"
            " privileges of PUBLIC, privileges of pg_monitor? [y/N]"
        ) in shown
        assert "public.b was not dropped, because you did not agree; nothing has changed" in shown
    status, shown = asked(left, "y\n", "retire", "b")
    assert (status, exists(databases.reporting, "b")) == (0, False)
    assert "public.b is dropped, as of 20" in shown


def test_a_name_does_not_act_on_the_terminal_that_asks(databases: Databases, left: Etl) -> None:
    """Somebody could hide what goes with the table behind the codes of a terminal, or a line of his own."""
    databases.reporting.execute('CREATE INDEX "x\x1b[2K\rDrop nothing? [y/N]\n" ON b (id, note)')
    status, shown = asked(left, "n\n", "retire", "b")
    assert (status, exists(databases.reporting, "b")) == (1, True)
    assert r"index x\x1b[2K\rDrop nothing? [y/N]\n? [y/N]" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("hang", "what"),
    [
        ("CREATE VIEW v AS SELECT id FROM b", "view public.v"),
        ("CREATE TABLE t (id int REFERENCES b)", "constraint t_id_fkey on table public.t depends on table public.b"),
        ("CREATE FUNCTION f(b) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f(public.b) depends on type"),
        ("CREATE TABLE child () INHERITS (b)", "table public.child depends on table public.b"),
    ],
)
def test_what_depends_on_the_table_stops_it(databases: Databases, left: Etl, hang: str, what: str) -> None:
    """Nothing of others is dropped, also with --yes; the error names it."""
    databases.reporting.execute(hang)
    done = left("retire", "b", "--yes")
    assert done.status == 1
    assert "public.b is not dropped, because others depend on it: " in done.stderr
    assert what in done.stderr
    assert exists(databases.reporting, "b")
    assert left_behind(left) == ["public.b", "public.c"]


def test_a_table_of_another_role_is_refused(databases: Databases, left: Etl) -> None:
    """Only its owner may drop it."""
    name = databases.reporting.name
    databases.reporting.execute(
        "DROP ROLE IF EXISTS retire_loader; CREATE ROLE retire_loader LOGIN;"
        "GRANT USAGE ON SCHEMA public TO retire_loader; GRANT SELECT ON b TO retire_loader;"
        "ALTER SCHEMA etl OWNER TO retire_loader;"
        "DO 'DECLARE one text; BEGIN FOREACH one IN ARRAY ARRAY[''runs'', ''loads'', ''watermarks'', ''validations'']"
        " LOOP EXECUTE ''ALTER TABLE etl.'' || one || '' OWNER TO retire_loader''; END LOOP; END';"
        "ALTER VIEW etl.freshness OWNER TO retire_loader"
    )
    try:
        url = databases.reporting.server.url(name, user="retire_loader")
        done = left("retire", "b", "--yes", ETL_REPORTING_URL=url)
        owner = databases.reporting.value("SELECT relowner::regrole FROM pg_class WHERE oid = 'b'::regclass")
        assert (done.status, f"public.b belongs to {owner}, and only its owner may drop it" in done.stderr) == (1, True)
        assert exists(databases.reporting, "b")
    finally:
        databases.reporting.execute("DROP OWNED BY retire_loader CASCADE; DROP ROLE retire_loader")


def test_a_table_that_is_not_a_runs_is_refused(databases: Databases, left: Etl) -> None:
    """Neither the reporting side's own, nor one that has the name of a table that was dropped."""
    databases.reporting.execute("CREATE TABLE own (id int); DROP TABLE b; CREATE TABLE b (id int)")
    for name in ("own", "b", "nowhere"):
        done = left("retire", name, "--yes")
        assert (done.status, "that a run or a batch has brought" in done.stderr) == (2, True)
    assert exists(databases.reporting, "own")
    assert exists(databases.reporting, "b")
    assert left("retire", "b*", "--yes").status == 2


def test_a_staged_table_is_refused(databases: Databases, left: Etl) -> None:
    """Its publish would bring it back."""
    assert left("run", TABLES="b", ETL_PUBLISH="defer", ETL_RUN_ID="staged").status == 0
    done = left("retire", "b", "--keep")
    assert (done.status, "public.b is staged by a run that is not published yet" in done.stderr) == (1, True)
    assert left("abort", "staged").status == 0
    assert left("retire", "b", "--keep").status == 0


@pytest.mark.parametrize("flag", ["--keep", "--yes"])
def test_a_table_that_a_run_publishes_meanwhile_is_refused(databases: Databases, left: Etl, flag: str) -> None:
    """Somebody refreshes it: what was looked at is not there any more, and the mark would go to an older night."""
    with databases.reporting.connect() as held:
        held.execute("SELECT pg_advisory_lock(hashtextextended('nightly-etl run retiring', 0))")
        with left.started("retire", "b", flag, ETL_RUN_ID="retiring") as process:
            until(lambda: waiting(databases.reporting, "advisory"), "the command waits for the lock", 60)
            assert left("run", TABLES="b", ETL_LOAD="full", ETL_PUBLISH_WAY="swap").status == 0
            held.execute("SELECT pg_advisory_unlock_all()")
            _, said = process.communicate(timeout=60)
    assert (process.returncode, "public.b has changed since it was looked at" in said) == (1, True)
    assert databases.reporting.rows("SELECT retired_at FROM etl.loads WHERE retired_at IS NOT NULL") == []
    assert exists(databases.reporting, "b")
    assert left_behind(left) == ["public.b", "public.c"]


@pytest.mark.parametrize("part", [{"ETL_SHARD": "0"}, {"ETL_SNAPSHOT": "run", "ETL_RUN_ID": "tonight"}], ids=str)
def test_a_part_of_tables_is_refused(left: Etl, part: dict[str, str]) -> None:
    """A shard's TABLES do not tell which tables the run covers."""
    done = left("retire", "b", "--yes", **part)
    assert (done.status, "TABLES is only a part of the run's tables" in done.stderr) == (2, True)


def test_a_table_in_use_is_waited_for_and_its_users_are_named(databases: Databases, left: Etl) -> None:
    """No other reader waits behind the DROP for long."""
    with databases.reporting.connect(application_name="report") as reader:
        reader.execute("BEGIN; SELECT FROM b")
        done = left("retire", "b", "--yes", ETL_PUBLISH_DEADLINE="1")
        assert done.status == 1
        assert f"public.b was in use for 1 s, by pid {reader.info.backend_pid} (postgres, report)" in done.stderr
    assert exists(databases.reporting, "b")


def test_after_a_drop_batches_begin_with_the_first_row(databases: Databases, left: Etl) -> None:
    """The position of the batches goes with the rows."""
    with function("etl.functions.copy_batch", left.environment) as copy:
        assert copy.invoke({"table": "b", "last_id": None, "limit": 5}) == {"last_id": 5, "rows": 5, "done": False}
        assert left("retire", "b", "--keep").status == 0
        retired = "SELECT retired_at IS NOT NULL FROM etl.freshness WHERE table_name = 'b'"
        assert databases.reporting.value(retired)
        copy.invoke({"table": "b", "last_id": None, "limit": 5})
        assert not databases.reporting.value(retired), "a batch takes it back"
        assert left("retire", "b", "--yes").status == 0
        assert copy.invoke({"table": "b", "last_id": None, "limit": 20}) == {"last_id": 12, "rows": 12, "done": True}
    assert databases.reporting.value("SELECT count(*) FROM b") == 12


def test_one_database_as_both_sides_is_refused(databases: Databases, left: Etl) -> None:
    """It would drop a table of the source."""
    done = left("retire", "b", "--yes", ETL_REPORTING_URL=databases.operational.etl_url)
    assert done.status == 2
    assert exists(databases.operational, "b")
