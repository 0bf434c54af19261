"""Types that users made, and types with settings of their own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.embedded import FAST, Server
from tests.harness import Database, Databases, Etl
from tests.mirror import assert_same, fill, make_user_types
from tests.samples import SAMPLES

USER_TYPES = """
    CREATE SCHEMA "Shop";
    CREATE TYPE "Shop"."Mood" AS ENUM ('sad', '', 'O''K', '"so, so"', '😀');
    CREATE DOMAIN "Shop".mood AS "Shop"."Mood" CHECK (VALUE <> 'sad');
    CREATE DOMAIN "Shop".moods AS "Shop".mood[];
    CREATE DOMAIN "Shop".code AS char(5) COLLATE "C";
    CREATE TYPE "Shop".moodrange AS RANGE (subtype = "Shop"."Mood", multirange_type_name = "Shop".manymoods);
    CREATE TYPE "Shop".pair AS (mood "Shop"."Mood", "a b" text);
    CREATE TYPE "Shop".nested AS (pair "Shop".pair, pairs "Shop".pair[], range "Shop".moodrange, code "Shop".code);
    CREATE TABLE "Shop".row (id int, pair "Shop".pair);
"""

# Types that came with their modifiers, which format_type() writes, and user types in every place they can be.
TABLE = """
    CREATE TABLE typed (
        id int, mood "Shop"."Mood", moods "Shop"."Mood"[], safe "Shop".mood, safes "Shop".moods, code "Shop".code,
        range "Shop".moodrange, ranges "Shop".manymoods, pair "Shop".pair, pairs "Shop".pair[],
        nested "Shop".nested, row "Shop".row, rows "Shop".row[], price numeric(10, 2), tiny numeric(3, 5),
        round numeric(5, -2), short varchar(3), fixed char(4), bits bit(3), several varbit(4), at timestamp(0),
        "at tz" timestamptz(3), clock time(2), wait interval day to second (1), months interval year to month,
        prices numeric(4, 1)[], quoted "char");
    INSERT INTO typed VALUES
        (1, 'O''K', '{sad,NULL,"",😀}', '', '{😀,O''K}', 'ab', '["sad","O''K")', '{["sad","sad"],(,)}',
         '("O''K",)', '{NULL,"(,)","(sad,\\"a,\\"\\"b\\")"}', '("(sad,x)","{\\"(,y)\\"}","empty","abc  ")',
         '(1,"(sad,)")', '{"(2,)",NULL}', 1.00, 0.00123, 12300, 'abc', 'ab', '101', '11', now(), now(), now(),
         '1 day 2.5 s', '3 years 2 mons', '{1.0,2.5}', 'x');
    INSERT INTO typed (id) VALUES (2);
"""


def test_types_that_users_made_arrive_wherever_a_column_can_have_them(databases: Databases, etl: Etl) -> None:
    """Enums, domains, ranges and rows, nested in each other and in arrays, and every type's modifiers."""
    source, target = databases.operational, databases.reporting
    target.execute("CREATE SCHEMA elsewhere; CREATE TYPE elsewhere.first AS ENUM ()")  # other numbers than the source's
    for database in (source, target):
        database.execute(USER_TYPES)
    source.execute(TABLE)
    done = etl("run", TABLES="typed", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert done.status == 0
    assert_same(source, target, ["typed"])
    types = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'typed'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert target.rows(types) == source.rows(types)


@pytest.mark.parametrize(
    ("make", "column"),
    [
        ("CREATE TYPE mood AS ENUM ('fine')", "mood"),
        ("CREATE DOMAIN mood AS int", "mood[]"),
        ("CREATE TYPE mood AS (a int)", "mood"),
        ("CREATE TYPE mood AS RANGE (subtype = int)", "mood"),
    ],
)
def test_a_type_that_the_target_lacks_is_named(databases: Databases, etl: Etl, make: str, column: str) -> None:
    """The load fails with the table's and the type's name, exit 1, and nothing is published."""
    databases.operational.execute(f"{make}; CREATE TABLE people (feels {column}); CREATE TABLE fine ()")
    done = etl("run", TABLES="people,fine")
    assert done.status == 1
    assert "public.people" in done.stderr
    assert 'type "public.mood' in done.stderr
    assert databases.reporting.value("SELECT to_regclass('fine') IS NULL")
    assert databases.staging_tables() == []


def test_an_enum_that_lacks_a_label_in_the_target_is_named(databases: Databases, etl: Etl) -> None:
    """A label that was added in the source only is an error that names the type; the label is data, and is not."""
    databases.operational.execute("CREATE TYPE mood AS ENUM ('fine', 'new'); CREATE TABLE people (feels mood)")
    databases.operational.execute("INSERT INTO people VALUES ('new')")
    databases.reporting.execute("CREATE TYPE mood AS ENUM ('fine')")
    done = etl("run", TABLES="people")
    assert done.status == 1
    assert "public.people" in done.stderr
    assert "invalid input value for enum public.mood" in done.stderr


def test_an_extensions_type_and_its_index_arrive(databases: Databases, etl: Etl) -> None:
    """pgvector's types, which are no server's own, and an index with its access method and operator class."""
    for database in (databases.operational, databases.reporting):
        database.execute("CREATE EXTENSION vector")
    databases.operational.execute(
        "CREATE TABLE items (id int PRIMARY KEY, v vector(3), h halfvec(3), s sparsevec(9), many vector[]);"
        "INSERT INTO items VALUES (1, '[1,-0,1e-45]', '[1,2,65504]', '{1:1.5,9:-2}/9', ARRAY['[1]'::vector, NULL]);"
        "INSERT INTO items (id) VALUES (2);"
        "CREATE INDEX near ON items USING hnsw (v vector_cosine_ops) WITH (m = 4)"
    )
    done = etl("run", TABLES="items", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert_same(databases.operational, databases.reporting, ["items"])
    index = "SELECT pg_get_indexdef('near'::regclass)"
    assert databases.reporting.value(index) == databases.operational.value(index)


@pytest.fixture
def server_in_japan(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose money has no decimals; its locale is compiled here, in a folder of its own."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/ja_JP").exists():
        pytest.skip("no locale sources here; the package locales (Debian) or glibc-locale-source (Fedora) has them")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)  # the server's user must read it
    subprocess.run(["localedef", "-i", "ja_JP", "-f", "UTF-8", folder / "ja_JP.UTF-8"], check=True, capture_output=True)
    monkeypatch.setenv("LOCPATH", str(folder))
    server = Server.start(settings=FAST | {"lc_monetary": "ja_JP.UTF-8"}, locale="C")
    yield server
    server.remove()
    shutil.rmtree(folder)


def test_money_keeps_its_amount_where_money_looks_different(databases: Databases, server_in_japan: Server) -> None:
    """In the other locale the same amount has other digits; it is the amount that arrives."""
    source, target = databases.operational, Database(server_in_japan, "postgres")
    assert target.value("SELECT 123::money::text") != source.value("SELECT 123::money::text")
    for database in (source, target):
        make_user_types(database, ["money"])
    fill(source, {"money": SAMPLES["money"]})
    done = Etl(Databases(source, target).environment)("run", TABLES="plain_money,user_money", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert_same(source, target, ["plain_money", "user_money"])
