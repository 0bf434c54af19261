"""Servers with German messages: etl judges their errors by SQLSTATEs and exception classes only."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from servers.postgres import FAST, Server
from servers.programs import system_bin
from tests.harness import Database, Databases, Etl
from tests.situations import ended, gate_closed, kill, kill_control, ledger, make_gated, sessions, until, waiting

READER, WRITER = 'COPY (/* etl: copy out */ SELECT "id"', 'COPY "etl_staging_public"'


@pytest.fixture(scope="module")
def german() -> Iterator[Server]:
    """The machine's own PostgreSQL, in German, because the wheel's 18 has no translations."""
    folder = system_bin()
    if folder is None:
        pytest.skip("no pg_ctl on PATH; a PostgreSQL server package of the distribution brings one with translations")
    with pytest.MonkeyPatch.context() as environment:
        # gettext reads it unless the locale is plain C, and the locale need not be installed
        environment.setenv("LANGUAGE", "de")
        server = Server.start(folder, FAST)
    yield server
    server.remove()


@pytest.fixture
def etl(german: Server) -> Iterator[Etl]:
    """``etl``, with both databases on the German server."""
    for name in ("operational", "reporting"):
        german.psql(f"CREATE DATABASE {name}")
    with psycopg.connect(german.url()) as session, pytest.raises(psycopg.errors.DivisionByZero) as error:
        session.execute("SELECT 1 / 0")
    if error.value.diag.message_primary == "division by zero":
        pytest.skip("this PostgreSQL has no German messages; its package is built with --enable-nls, and brings them")
    yield Etl(Databases(Database(german, "operational"), Database(german, "reporting")).environment)
    for name in ("operational", "reporting"):
        german.psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def databases(german: Server, etl: Etl) -> Databases:
    """Both databases."""
    return Databases(Database(german, "operational"), Database(german, "reporting"))


@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_load_whose_session_is_killed_is_tried_again(databases: Databases, etl: Etl, side: str) -> None:
    """etl recognizes a lost connection in any language."""
    make_gated(databases.operational)
    with etl.started("run", TABLES="gated", ETL_RUN_ID="tonight") as process:
        with gate_closed(databases.operational):
            until(lambda: waiting(databases.operational, READER), "the reader waits at the gate")
            until(lambda: sessions(databases.reporting, WRITER), "the writer takes rows")
            kill(getattr(databases, side), READER if side == "operational" else WRITER)
        done = ended(process)
    assert (done.status, done.stderr) == (0, "")
    assert "was lost: " in done.event("table.retried")["error"]
    assert ledger(databases.reporting) == ("published", None)


def test_a_run_whose_control_session_is_killed_fails_and_says_so(databases: Databases, etl: Etl) -> None:
    """The error has the server's words, without libpq's guesses."""
    make_gated(databases.operational)
    with etl.started("run", TABLES="gated", ETL_RUN_ID="tonight") as process:
        with gate_closed(databases.operational):
            until(lambda: waiting(databases.operational, READER), "the reader waits at the gate")
            kill_control(databases.reporting)
        done = ended(process)
    assert (done.status, "Verbindung wird abgebrochen" in done.stderr) == (1, True)
    assert databases.staging_tables() == []


def test_a_value_in_german_quotation_marks_is_not_quoted(databases: Databases, etl: Etl) -> None:
    """»…« instead of "…": the log must not have values of rows."""
    databases.operational.execute(
        "CREATE TABLE words AS SELECT 'geheim' AS word; CREATE VIEW numbers AS SELECT word::int FROM words"
    )
    done = etl("run", TABLES="numbers", ETL_RUN_ID="tonight")
    assert (done.status, "ungültige Eingabesyntax" in done.stderr) == (1, True)
    assert "geheim" not in done.stdout + done.stderr
    assert "geheim" not in str(ledger(databases.reporting))


@pytest.mark.parametrize("side", ["OPERATIONAL", "REPORTING"])
def test_a_database_or_a_role_that_is_not_there_is_bad_configuration(german: Server, etl: Etl, side: str) -> None:
    """Exit status 2, and the error names the setting."""
    for url in (german.url("niemands"), german.url(side.lower(), user="niemand")):
        done = etl("run", **{f"ETL_{side}_URL": url, "TABLES": "*"})
        said = "existiert nicht" in done.stderr, f"check ETL_{side}_URL" in done.stderr
        assert (done.status, *said) == (2, True, True)


def test_a_password_that_is_missing_is_bad_configuration(german: Server, etl: Etl) -> None:
    """The error comes from libpq, not from a server: libpq has no password to send."""
    hba = german.data / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("host all asked all scram-sha-256\n" + before)
    german.psql("CREATE ROLE asked LOGIN PASSWORD 'x'; SELECT pg_reload_conf()")
    try:
        rules = "SELECT count(*) FROM pg_hba_file_rules WHERE 'asked' = ANY (user_name)"
        until(lambda: german.psql(rules) == "1", "the server has read its rules")
        for side in ("OPERATIONAL", "REPORTING"):
            done = etl("run", **{f"ETL_{side}_URL": german.url(side.lower(), user="asked"), "TABLES": "*"})
            assert (done.status, f"check ETL_{side}_URL" in done.stderr) == (2, True), done.stderr
    finally:
        hba.write_text(before)
        german.psql("SELECT pg_reload_conf(); DROP ROLE asked")
