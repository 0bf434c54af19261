"""Types that users made, and types with settings of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.postgres import FAST, Server
from tests.dump import schema_of
from tests.harness import Database, Databases, Etl
from tests.mirror import assert_same, fill, make_user_types
from tests.samples import SAMPLES

pytestmark = pytest.mark.whole

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

# A default's text in the catalog depends on the search_path of the session that wrote it.
DEFAULTED = """
    CREATE TYPE public.colour AS ENUM ('red'); CREATE DOMAIN public.paint AS public.colour DEFAULT 'red'::colour;
    CREATE TABLE defaulted (paint public.paint); INSERT INTO defaulted VALUES (DEFAULT);
"""


def test_a_domain_whose_constraint_was_never_validated_arrives(databases: Databases, etl: Etl) -> None:
    """CREATE DOMAIN does not take NOT VALID; on a new domain the constraint holds for all values."""
    databases.operational.execute(
        "CREATE DOMAIN size AS int; CREATE TABLE boxes AS SELECT 1::size AS size;"
        " ALTER DOMAIN size ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID"
    )
    done = etl("run", TABLES="boxes", ETL_VERIFY="checksum")
    assert (done.status, done.stderr) == (0, "")
    constraint = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = 'size'::regtype"
    assert databases.reporting.rows(constraint) == [("positive", "CHECK ((VALUE > 0))")]


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


ROWS = (', row "Shop".row, rows "Shop".row[]', """'(1,"(sad,)")', '{"(2,)",NULL}', """)
"""What ``TABLE`` has of a table's row type, which only comes with its table."""


def test_types_that_the_target_lacks_are_made(databases: Databases, etl: Etl) -> None:
    """In dependency order, with all that they rest on; on the second night they are found to be the same."""
    source, target = databases.operational, databases.reporting
    table = TABLE
    for part in ROWS:
        assert part in table
        table = table.replace(part, "")
    source.execute(USER_TYPES + table + DEFAULTED)
    for night in ("first", "second"):
        done = etl("run", TABLES="typed,defaulted", ETL_VERIFY="checksum")
        assert done.stderr == "", night
        assert_same(source, target, ["typed", "defaulted"])
    kept = r"^CREATE (TYPE|DOMAIN)|^\t(CONSTRAINT|subtype|multirange)|^    '"
    types = [[line for line in schema_of(side) if re.search(kept, line)] for side in (source, target)]
    assert types[0] == types[1]
    assert len(types[0]) > 15


def test_a_row_type_that_the_target_lacks_is_named(databases: Databases, etl: Etl) -> None:
    """It comes with a table, which this run may not even copy; nothing is published."""
    databases.operational.execute("CREATE TABLE pairs (a int); CREATE TABLE people (pair pairs); CREATE TABLE fine ()")
    done = etl("run", TABLES="people,fine")
    assert done.status == 1
    assert "type public.pairs is a table's row type" in done.stderr
    assert databases.reporting.value("SELECT to_regclass('fine') IS NULL")
    assert databases.staging_tables() == []


@pytest.mark.parametrize(
    ("was", "labels"),
    [
        ("'b', 'd'", "'a', 'A', 'b', 'c', 'd', 'it''s'"),
        ("", "'first', 'second'"),
        ("'b'", "'b', 'c'"),
    ],
)
def test_an_enum_that_has_grown_grows(databases: Databases, etl: Etl, was: str, labels: str) -> None:
    """New labels come at their places, at the front, between, at the end, and rows that use them at once."""
    databases.reporting.execute(f"CREATE TYPE mood AS ENUM ({was}); CREATE TABLE mine (feels mood)")
    databases.operational.execute(f"CREATE TYPE mood AS ENUM ({labels}); CREATE TABLE people (feels mood)")
    databases.operational.execute("INSERT INTO people SELECT unnest(enum_range(NULL::mood))")
    assert etl("run", TABLES="people").stderr == ""
    everything = "SELECT enum_range(NULL::mood)::text, array_agg(feels ORDER BY feels)::text FROM people"
    assert databases.reporting.rows(everything) == databases.operational.rows(everything)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("CREATE TYPE kind AS ENUM ('a', 'b')", "CREATE TYPE kind AS ENUM ('b', 'a')"),
        ("CREATE TYPE kind AS ENUM ('a')", "CREATE TYPE kind AS ENUM ('a', 'gone')"),
        ("CREATE DOMAIN kind AS int CHECK (VALUE > 1)", "CREATE DOMAIN kind AS int CHECK (VALUE > 2)"),
        ("CREATE DOMAIN kind AS int", "CREATE DOMAIN kind AS int NOT NULL"),
        ("CREATE TYPE kind AS (a int, b text)", "CREATE TYPE kind AS (a int, b varchar(9))"),
        ("CREATE TYPE kind AS RANGE (subtype = int)", "CREATE TYPE kind AS RANGE (subtype = bigint)"),
        ("CREATE TYPE kind AS ENUM ('a')", "CREATE DOMAIN kind AS text"),
    ],
)
def test_a_type_that_differs_is_an_error_that_shows_both(
    databases: Databases, etl: Etl, source: str, target: str
) -> None:
    """Exit status 1, both definitions, and nothing is touched."""
    databases.operational.execute(f"{source}; CREATE TABLE people (feels kind)")
    databases.reporting.execute(target)
    before = schema_of(databases.reporting)
    done = etl("run", TABLES="people")
    assert done.status == 1
    words = " ".join(done.stderr.split())
    assert "type public.kind differs" in words
    assert f"the source has {source.split(' kind', maxsplit=1)[0]} public.kind" in words
    assert f"the target {target.split(' kind', maxsplit=1)[0]} public.kind" in words
    assert schema_of(databases.reporting) == before


@pytest.mark.superuser("makes an extension that is not trusted")
def test_extensions_that_types_need_are_made(databases: Databases, etl: Etl) -> None:
    """pgvector, in the schema that it has at the source."""
    databases.operational.execute(
        "CREATE SCHEMA maths; CREATE EXTENSION vector SCHEMA maths; CREATE DOMAIN place AS maths.vector(2);"
        "CREATE TABLE items (id int, v maths.vector(3), p place); INSERT INTO items VALUES (1, '[1,2,3]', '[1,2]')"
    )
    for night in ("first", "second"):
        assert etl("run", TABLES="items", ETL_VERIFY="checksum").stderr == "", night
    assert_same(databases.operational, databases.reporting, ["items"])
    extension = "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    assert databases.reporting.rows(extension) == [("vector", "maths")]


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
