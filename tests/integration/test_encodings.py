"""Databases of any encoding: bytes are copied unchanged between equal encodings, and converted between others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from etl.model.transient import is_transient
from etl.sessions import encoding
from etl.sessions.postgres import connect_source
from etl.sessions.url import DatabaseUrl
from servers.postgres import Server
from tests.harness import Database, Databases, Done, Etl
from tests.lambda_runtime import function
from tests.releases import fast_copy

_numbers = count()

NAMES = {"LATIN1": "café", "WIN1252": "œuvre", "EUC_JP": "表", "SQL_ASCII": "naïve", "EUC_TW": "表", "UTF8": "日é"}
"""A name that has letters beyond ASCII in each encoding."""

ODD = {
    "LATIN1": r"\xe981ff",
    "WIN1252": r"\xe9818d9d",
    "EUC_JP": r"\xfcf1a4a28fb0a1",
    "SQL_ASCII": r"\xe981ffc3a9fcf1",
    "EUC_TW": r"\x8ea7fefec4e3",
}
"""Bytes that are text in each encoding; but for LATIN1's, they have no equivalent in Unicode, or are no text at all."""

OTHER = {
    "LATIN1": r"\xe982ff",
    "WIN1252": r"\xe9818f9d",
    "EUC_JP": r"\xfcf2a4a28fb0a1",
    "SQL_ASCII": r"\xea81ffc3a9fcf1",
    "EUC_TW": r"\x8ea7fefdc4e3",
}
"""The same, but for one byte."""

SAME = tuple(ODD)


def fresh(server: Server, encoding: str) -> Database:
    """Creates an empty database of this encoding."""
    name = f"encoded_{next(_numbers)}"
    server.psql(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' {fast_copy()}"
    )
    return Database(server, name)


@contextmanager
def pair(source: Server, target: Server, here: str, there: str) -> Iterator[Databases]:
    """Two empty databases with these encodings."""
    databases = Databases(fresh(source, here), fresh(target, there))
    yield databases
    for database in (databases.operational, databases.reporting):
        database.server.psql(f"DROP DATABASE {database.name} WITH (FORCE)")


@pytest.fixture(params=SAME)
def alike(request: pytest.FixtureRequest, operational_server: Server, reporting_server: Server) -> Iterator[Databases]:
    """Two empty databases of one encoding, which is not UTF8."""
    with pair(operational_server, reporting_server, request.param, request.param) as databases:
        yield databases


def encoding_of(database: Database) -> str:
    return str(database.value("SHOW server_encoding"))


def raw(hexadecimal: str) -> str:
    """The SQL of a text with these bytes."""
    return f"convert_from('{hexadecimal}', getdatabaseencoding())"


def make_texts(database: Database) -> str:
    """Creates a table with texts of every kind in the encoding; returns its name."""
    encoding = encoding_of(database)
    name, odd = NAMES[encoding], raw(ODD[encoding])
    database.execute(f"""
        CREATE TYPE "{name}_kind" AS ENUM ('{name}', 'plain');
        CREATE DOMAIN "{name}_text" AS text; CREATE TYPE "{name}_pair" AS (one text, two numeric);
        CREATE TABLE "{name}" (
            id int, "{name}_v" text, v varchar(40), c char(20), a text[], own "{name}_text", p "{name}_pair",
            kind "{name}_kind", j json, jb jsonb, words tsvector, b bytea, n numeric, f float8, t timestamptz, x "char",
            CONSTRAINT "{name}_check" CHECK ("{name}_v" <> '{name} is not there'), PRIMARY KEY (id));
        CREATE INDEX "{name}_by" ON "{name}" ("{name}_v");
        COMMENT ON TABLE "{name}" IS 'the table {name}'; COMMENT ON COLUMN "{name}"."{name}_v" IS '{name}';
        INSERT INTO "{name}"
        SELECT i, o || i, o, o, ARRAY[o, NULL, '', '{name}'], o, ROW(o, 1.00)::"{name}_pair",
               '{name}'::"{name}_kind", to_json(o), to_jsonb(o), to_tsvector('simple', o), '\\x00e9ff', 1.00, '-0',
               '2024-01-01 00:00:00.000001', '\\351'
          FROM generate_series(1, 2000) i, (SELECT {odd} AS o) o;
        INSERT INTO "{name}" (id, "{name}_v", v) VALUES (3000, NULL, ''), (3001, E'\\\\N\\t\\n', NULL);
    """)
    return name


def bytes_of(database: Database, name: str) -> list[tuple[str]]:
    """A table's rows as bytes in the database's encoding."""
    query = f"""SELECT encode(convert_to(whole::text, getdatabaseencoding()), 'hex') FROM "{name}" whole ORDER BY id"""
    return database.rows(query)


def assert_well(done: Done) -> None:
    assert (done.stderr, done.status) == ("", 0)


def test_bytes_pass_as_they_are_between_two_databases_of_one_encoding(alike: Databases, tmp_path: Path) -> None:
    """Night after night: in one stream, in page ranges and in place, below a view; hashed, checked and verified."""
    source, target = alike.operational, alike.reporting
    name, encoding = make_texts(source), encoding_of(source)
    etl = Etl(alike.environment | {"ETL_VERIFY": "checksum", "TABLES": f'"{name}"'})
    checked = etl("check")
    assert_well(checked)
    assert encoding in checked.stdout
    assert_well(etl("run"))
    assert bytes_of(target, name) == bytes_of(source, name)

    target.execute(f"""CREATE VIEW "{name} seen" AS SELECT "{name}_v" AS "{name}" FROM "{name}" WHERE v <> '{name}'""")
    source.execute(f"""DELETE FROM "{name}" WHERE id = 7; UPDATE "{name}" SET v = v || '{name}' WHERE id % 3 = 0""")
    for options in (f"""split = 4\nwhere = "v IS DISTINCT FROM 'not {name}'\"""", 'publish = "in-place"'):
        (tmp_path / "options.toml").write_text(f"[defaults]\n{options}\n", encoding="utf-8")
        assert_well(etl("run", ETL_OPTIONS_FILE=str(tmp_path / "options.toml")))
        assert bytes_of(target, name) == bytes_of(source, name)
        source.execute(f"""UPDATE "{name}" SET v = 'in place' WHERE id = 8""")
    assert target.value(f'SELECT count(*) FROM "{name} seen"') == 1999

    source.execute(f"""UPDATE "{name}" SET v = a[1] WHERE id = 8""")
    target.execute(f"""UPDATE "{name}" SET v = a[1] WHERE id = 8""")
    assert_well(etl("verify"))
    target.execute(f"""UPDATE "{name}" SET a[1] = {raw(OTHER[encoding])} WHERE id = 8""")
    assert etl("verify").status == 1


def test_batches_pass_bytes_as_they_are(operational_server: Server, reporting_server: Server) -> None:
    """As a run does."""
    with pair(operational_server, reporting_server, "WIN1252", "WIN1252") as databases:
        name = make_texts(databases.operational)
        with function("etl.functions.copy_batch", databases.environment) as copy:
            copy.invoke({"table": name, "last_id": 0, "limit": 1500})
            assert copy.invoke({"table": name, "last_id": 1500, "limit": 1500})["done"]
        assert bytes_of(databases.reporting, name) == bytes_of(databases.operational, name)


CONVERTED = [
    *(("LATIN1", "UTF8"), ("UTF8", "LATIN1"), ("WIN1252", "UTF8"), ("LATIN1", "WIN1252"), ("EUC_JP", "UTF8")),
    *(("UTF8", "EUC_JP"), ("SQL_ASCII", "UTF8"), ("UTF8", "SQL_ASCII"), ("LATIN1", "SQL_ASCII")),
]
TEXTS = {"LATIN1": "é ÿ", "WIN1252": "é ÿ", "EUC_JP": "表 値", "SQL_ASCII": "é ÿ", "UTF8": "é ÿ"}


@pytest.mark.parametrize(("here", "there"), CONVERTED)
def test_text_is_converted_between_two_encodings(
    operational_server: Server, reporting_server: Server, here: str, there: str
) -> None:
    """Whoever reads both sides in UTF8 reads the same: rows, names and comments."""
    text = TEXTS["EUC_JP" if "EUC_JP" in (here, there) else here]
    with pair(operational_server, reporting_server, here, there) as databases:
        source, target = databases.operational, databases.reporting
        source.execute(f"""
            CREATE TABLE "t {text}" (id int PRIMARY KEY, "c {text}" text, a text[], j jsonb);
            COMMENT ON TABLE "t {text}" IS '{text}';
            INSERT INTO "t {text}" VALUES (1, '{text}', ARRAY['{text}', NULL], '["{text}"]'), (2, '', '{{}}', '{{}}')
        """)
        etl = Etl(databases.environment | {"TABLES": f'"t {text}"', "ETL_VERIFY": "checksum"})
        assert_well(etl("run"))
        rows = f'SELECT t::text, obj_description(tableoid) FROM "t {text}" t ORDER BY id'
        assert target.rows(rows) == source.rows(rows)


UNCONVERTIBLE = [
    ("UTF8", "LATIN1", "text", r"\xe282ac"),
    ("WIN1252", "UTF8", "text", r"\x7381"),
    ("SQL_ASCII", "UTF8", "secret", r"\x73e9"),
    ("EUC_JP", "UTF8", "text", r"\xfcf1"),
    ("EUC_JP", "LATIN1", "secret", r"\xa4a2"),
]


@pytest.mark.parametrize(("here", "there", "kind", "value"), UNCONVERTIBLE)
def test_what_cannot_be_converted_fails_with_the_encodings_and_without_the_value(
    operational_server: Server, reporting_server: Server, here: str, there: str, kind: str, value: str
) -> None:
    """One line, in the log, in the ledger and on standard error, in binary format and in text; nothing is published."""
    with pair(operational_server, reporting_server, here, there) as databases:
        databases.operational.execute(
            f"CREATE TYPE secret AS (one text); CREATE TABLE notes (note {kind});"
            f"INSERT INTO notes (note{'.one' if kind == 'secret' else ''}) VALUES ({raw(value)})"
        )
        done = Etl(databases.environment)("run", TABLES="notes")
        assert done.status == 1
        assert done.event("table.failed")["error"] == (
            f"public.notes: a value has no equivalent in the reporting database: its encoding is {there}, and the"
            f" operational database's is {here}; mend the value, exclude or mask its column, or use one encoding"
        )
        assert "0x" not in done.stdout + done.stderr
        assert databases.reporting.value("SELECT to_regclass('notes') IS NULL")
        ledger = (
            "SELECT status, error IS NOT NULL FROM etl.runs UNION ALL SELECT status, error LIKE '%{}%' FROM etl.loads"
        )
        assert databases.reporting.rows(ledger.format(there)) == [("failed", True), ("failed", True)]


def test_a_name_that_the_target_cannot_hold_fails_with_the_encodings(
    operational_server: Server, reporting_server: Server
) -> None:
    """In one line; and the ledger knows of a failure whatever letters its error has."""
    with pair(operational_server, reporting_server, "UTF8", "LATIN1") as databases:
        databases.operational.execute('CREATE TABLE "日" (id int); CREATE TABLE column_of ("日" int)')
        etl = Etl(databases.environment)
        named, columned = etl("run", TABLES='"日"'), etl("run", TABLES="column_of", ETL_RUN_ID="second")
        for done in (named, columned):
            assert done.status == 1
            error = done.event("run.finished" if done is named else "table.failed")["error"]
            assert '"UTF8"' in error
            assert '"LATIN1"' in error
            assert "0x" not in error
        assert databases.reporting.rows("SELECT status FROM etl.runs WHERE run_id = 'second'") == [("failed",)]


async def test_the_encoding_of_a_session_that_is_lost_is_a_lost_connection(databases: Databases) -> None:
    """The step is tried again on another session; without a check, asyncpg answers with an AttributeError."""
    source = await connect_source(DatabaseUrl.parse(databases.operational.url, {}), "test")
    assert encoding.of_source(source) == "UTF8"
    await source.close()
    with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
        encoding.of_source(source)
    assert is_transient(caught.value)
