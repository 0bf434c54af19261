"""Extensions that tables need: etl creates available ones, and names the others."""

from __future__ import annotations

from itertools import count

import pytest

from servers.postgres import Server
from tests.dump import difference, schema_of
from tests.harness import Database, Databases, Etl
from tests.mirror import assert_same

pytestmark = pytest.mark.whole

TABLE = """
    CREATE SCHEMA extra; CREATE EXTENSION hstore SCHEMA extra; CREATE EXTENSION citext;
    CREATE EXTENSION btree_gist SCHEMA extra; CREATE EXTENSION pg_trgm;
    CREATE DOMAIN email AS citext CHECK (VALUE LIKE '%@%');
    CREATE TABLE items (
        id int PRIMARY KEY, name citext UNIQUE, tags extra.hstore, many extra.hstore[], mail email, room int,
        taken tstzrange, CONSTRAINT once EXCLUDE USING gist (room WITH =, taken WITH &&));
    CREATE INDEX trigrams ON items USING gin (lower(name::text) gin_trgm_ops);
    CREATE INDEX tagged ON items USING gin (tags);
    INSERT INTO items VALUES
        (1, 'Ann', 'a=>1, b=>NULL', ARRAY['"x y"=>""'::extra.hstore, NULL], 'A@b.c', 1, '[2024-01-01,)'),
        (2, 'Ännchen', '', '{}', NULL, 2, '[2024-01-01,)');
"""

_numbers = count()


def fresh(server: Server) -> Database:
    """Creates an empty database; skips the test if the server has no contrib."""
    name = f"extensions_{next(_numbers)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE template0")
    database = Database(server, name)
    wanted = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hstore', 'citext', 'btree_gist', 'pg_trgm')"
    if database.value(wanted) < 4:
        pytest.skip("this server has no contrib; the package postgresql-contrib (Debian: postgresql) brings it")
    return database


def test_what_tables_need_is_made_with_its_types_and_operator_classes(system_server: Server) -> None:
    """hstore and citext for columns, btree_gist and pg_trgm for indexes, each in its schema; again the next night."""
    source, target = fresh(system_server), fresh(system_server)
    source.execute(TABLE)
    etl = Etl(Databases(source, target).environment)
    for night in ("first", "second"):
        done = etl("run", TABLES="items", ETL_VERIFY="checksum")
        assert done.stderr == "", night
        assert_same(source, target, ["items"])
        assert difference(schema_of(source), schema_of(target)) == [], night


def test_an_index_whose_extension_cannot_be_had_is_named(system_server: Server, databases: Databases) -> None:
    """The error names the index and the extension, before any row is read; nothing is published."""
    source, target = fresh(system_server), databases.reporting
    source.execute(
        "CREATE EXTENSION pg_trgm; CREATE TABLE items (name text);"
        "CREATE INDEX trigrams ON items USING gin (name gin_trgm_ops)"
    )
    done = Etl(Databases(source, target).environment)("run", TABLES="items")
    assert done.status == 1
    said = "index trigrams of public.items needs operator class public.gin_trgm_ops (gin), which the target lacks: it"
    assert f"{said} belongs to extension pg_trgm, which the target cannot install" in done.stderr
    assert target.value("SELECT to_regclass('items') IS NULL")


def test_an_extension_of_a_type_that_cannot_be_had_is_named(system_server: Server, databases: Databases) -> None:
    """The error comes before any row is read; nothing is published."""
    source, target = fresh(system_server), databases.reporting
    source.execute("CREATE EXTENSION hstore; CREATE TABLE items (tags hstore); CREATE TABLE fine ()")
    done = Etl(Databases(source, target).environment)("run", TABLES="items,fine")
    assert done.status == 1
    said = "column tags of public.items cannot arrive: type public.hstore is missing in the target: it belongs to"
    assert f"{said} extension hstore, which the target cannot install" in done.stderr
    assert target.value("SELECT to_regclass('fine') IS NULL")


def test_an_extension_in_another_schema_is_named_with_its_remedy(system_server: Server) -> None:
    """A type, and an operator class, of an extension that the target has elsewhere; moved, the tables arrive."""
    source, target = fresh(system_server), fresh(system_server)
    source.execute(
        "CREATE EXTENSION citext; CREATE EXTENSION pg_trgm; CREATE TABLE items (name citext, note text);"
        "CREATE INDEX trigrams ON items USING gin (note gin_trgm_ops)"
    )
    target.execute("CREATE SCHEMA ours; CREATE EXTENSION citext SCHEMA ours; CREATE EXTENSION pg_trgm SCHEMA ours")
    etl = Etl(Databases(source, target).environment)
    checked, done = etl("check", TABLES="items"), etl("run", TABLES="items")
    assert (checked.status, done.status) == (1, 1)
    for name, what in (("citext", "column name of public.items"), ("pg_trgm", "index trigrams of public.items")):
        said = (
            f"{name}, which the target has in schema ours instead of public; move it: ALTER EXTENSION {name} SET SCHEMA"
        )
        assert what in done.stderr
        assert said in done.stderr
        assert said in " ".join(checked.stdout.split())
    target.execute("ALTER EXTENSION citext SET SCHEMA public; ALTER EXTENSION pg_trgm SET SCHEMA public")
    assert etl("run", TABLES="items").stderr == ""
