"""From one PostgreSQL release to another, either way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count

import pytest

from servers.postgres import FAST, Server
from servers.programs import wheel_bin
from tests.harness import Database, Databases, Etl
from tests.mirror import assert_same, fill, has_xml, make_user_types
from tests.samples import samples_of
from tests.situations import settled

_numbers = count()


@pytest.fixture(scope="module")
def older_server() -> Iterator[Server]:
    """The wheel's PostgreSQL 16."""
    server = Server.start(wheel_bin("16"), FAST)
    yield server
    server.remove()


def fresh(server: Server) -> Database:
    """Makes an empty database."""
    name = f"version_{next(_numbers)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE template0")
    return Database(server, name)


def version_of(database: Database) -> int:
    """The server's major version."""
    return int(database.value("SHOW server_version_num")) // 10000


SHOP = """
    CREATE TYPE mood AS ENUM ('fine', 'sad');
    CREATE TABLE shop (
        id int PRIMARY KEY, code text NOT NULL UNIQUE, feels mood, part int4range, total numeric(10, 2) DEFAULT 1,
        CONSTRAINT shop_code_not_null CHECK (code IS NOT NULL), CONSTRAINT apart EXCLUDE USING gist (part WITH &&));
    CREATE INDEX shop_total ON shop (total DESC) INCLUDE (code) WHERE total > 0;
    COMMENT ON TABLE shop IS 'where it is sold';
    INSERT INTO shop VALUES (1, 'a', 'fine', '[1,2)', 1.00), (2, 'b', NULL, NULL, NULL);
"""
ANATOMY = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE conrelid = 'public.shop'::regclass AND contype <> 'n'
    UNION ALL
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
     WHERE indrelid = 'public.shop'::regclass
    UNION ALL
    SELECT attname, attnotnull::text FROM pg_attribute WHERE attrelid = 'public.shop'::regclass AND attnum > 0
     ORDER BY 1, 2
"""


def assert_arrives(source: Database, target: Database) -> None:
    """Copies tables of every type that both releases know, and one with keys, indexes and constraints."""
    both_have_xml = has_xml(source) and has_xml(target)
    samples = samples_of(min(version_of(source), version_of(target)), has_xml=both_have_xml)
    for database in (source, target):
        make_user_types(database, samples)
    fill(source, samples)
    source.execute(SHOP)
    target.execute("CREATE TYPE mood AS ENUM ('fine', 'sad')")
    etl = Etl(Databases(source, target).environment)
    done = etl("run", TABLES="plain_*,user_*,shop", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert done.event("run.finished")["tables"] == 2 * len(samples) + 1
    assert_same(source, target, [*(f"{kind}_{name}" for name in samples for kind in ("plain", "user")), "shop"])
    assert target.rows(ANATOMY) == source.rows(ANATOMY)
    assert etl("verify", TABLES="plain_*,user_*,shop").status == 0


def test_from_the_system_server_to_18(system_server: Server, reporting_server: Server) -> None:
    """Everything that both know arrives."""
    assert_arrives(fresh(system_server), fresh(reporting_server))


def test_from_18_to_the_system_server(operational_server: Server, system_server: Server) -> None:
    """And the way back."""
    assert_arrives(fresh(operational_server), fresh(system_server))


def test_from_16_to_18(older_server: Server, reporting_server: Server) -> None:
    """Likewise, from a server that every machine has."""
    assert_arrives(fresh(older_server), fresh(reporting_server))


def test_from_18_to_16(operational_server: Server, older_server: Server) -> None:
    """And the way back."""
    assert_arrives(fresh(operational_server), fresh(older_server))


def test_xml_arrives_between_two_servers_that_have_it(system_server: Server) -> None:
    """With all other types, and between two databases of one server, which are not the same database."""
    source, target = fresh(system_server), fresh(system_server)
    if not has_xml(source):
        pytest.skip("this server was built without libxml; Debian's and the PGDG's are built with it")
    assert_arrives(source, target)


def test_a_foreign_table_arrives_as_a_table(system_server: Server, reporting_server: Server) -> None:
    """Its rows, which lie in another database, are read like any."""
    source, target, remote = fresh(system_server), fresh(reporting_server), fresh(system_server)
    if not source.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
        pytest.skip("this server has no postgres_fdw; postgresql-contrib brings it")
    remote.execute("CREATE TABLE far (id int, note text); INSERT INTO far VALUES (1, 'a'), (2, NULL)")
    source.execute(f"""
        CREATE EXTENSION postgres_fdw; CREATE SERVER remote FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '127.0.0.1', port '{system_server.port}', dbname '{remote.name}');
        CREATE USER MAPPING FOR postgres SERVER remote OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE far (id int, note text) SERVER remote
    """)
    done = Etl(Databases(source, target).environment)("run", TABLES="far", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert target.rows("SELECT * FROM far ORDER BY id") == [(1, "a"), (2, None)]


NIGHTS = {
    "full": "SELECT",
    "delta": "UPDATE {t} SET note = note || 'x' WHERE id % 50 = 0; DELETE FROM {t} WHERE id % 70 = 1;"
    "UPDATE {t} SET id = id + 1000 WHERE id % 90 = 2; INSERT INTO {t} (id, note) VALUES (901, 'new')",
    "unchanged": "SELECT",
}
"""What happens before a night, by the load that it is then."""

LINES = """
CREATE TABLE orders (id int PRIMARY KEY, note text, doc json DEFAULT '{"a":  1}', paid money DEFAULT 7, at interval);
INSERT INTO orders (id, note, at) SELECT g, 'note ' || g, g * interval '1 hour' FROM generate_series(1, 400) g;
CREATE TABLE lines (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF lines FOR VALUES FROM (0) TO (200);
CREATE TABLE high PARTITION OF lines FOR VALUES FROM (200) TO (2000);
INSERT INTO lines SELECT g, 'line ' || g FROM generate_series(1, 400) g;
"""


PAIRS = [("older_server", "reporting_server"), ("operational_server", "older_server")]


@pytest.mark.parametrize("pair", PAIRS, ids=" to ".join)
def test_a_night_copies_changes_between_two_releases(request: pytest.FixtureRequest, pair: Sequence[str]) -> None:
    """Deletions, too; each load is what ``etl check`` has said, and all rows have the same hashes on both sides."""
    source, target = (fresh(request.getfixturevalue(server)) for server in pair)
    source.execute(LINES)
    settled(source)
    etl = Etl(Databases(source, target).environment | {"TABLES": "orders,lines", "ETL_LOAD": "auto"})
    for load, day in NIGHTS.items():
        for table in ("orders", "lines"):
            source.execute(day.format(t=table))
        said = [one["load"] for one in json.loads(etl("check", "--json").stdout) if one.get("load")]
        assert said == [load if load == "full" else "delta"] * 2
        done = etl("run", ETL_VERIFY="checksum")
        assert (done.status, done.stderr) == (0, "")
        assert [one["load"] for one in done.events if one["event"] == "table.loaded"] == [load, load]
        assert_same(source, target, ["orders", "lines"])
