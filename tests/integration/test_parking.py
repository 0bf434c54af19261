"""Unique values that go over from row to row in a merge: of every kind of type, also at the ends of its range."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from etl.model.errors import PublishFailed
from tests.harness import Databases
from tests.integration.test_merge import merged
from tests.releases import release


@dataclass(frozen=True)
class Values:
    """Two values that swap rows, and more that stay; ``unique`` is what keeps them apart, ``{}`` the column."""

    kind: str
    swapped: tuple[str, str]
    stay: tuple[str, ...] = ()
    unique: str = "UNIQUE ({})"
    more: str = ""


MADE = """
CREATE TYPE public.colour AS ENUM ('red', 'green', 'blue', 'white');
CREATE DOMAIN public.low AS int CHECK (VALUE IS NOT NULL AND VALUE < 10);
CREATE DOMAIN public.lower AS public.low;
"""

APART = "EXCLUDE USING gist ({} WITH &&)"

MULTIRANGES = {
    "multiranges that may not overlap": Values("int4multirange", ("'{[1,5)}'", "'{[5,9)}'"), unique=APART),
}

KINDS = {
    "int2 at its end": Values("int2", ("1", "2"), ("32767",)),
    "int2 at both ends": Values("int2", ("-32768", "32767")),
    "int8 at its end": Values("int8", ("1", "9223372036854775807")),
    "numbers without a gap below a limit": Values("int", ("1", "2"), more="CHECK (value BETWEEN -1 AND 2)"),
    "numbers with a gap": Values("int", ("1", "4"), more="CHECK (value BETWEEN 1 AND 4)"),
    "numeric with NaN": Values("numeric", ("1", "2.5"), ("'NaN'",)),
    "numeric that is NaN": Values("numeric", ("1", "'NaN'")),
    "numeric of one digit": Values("numeric(1)", ("8", "9"), ("-9",)),
    "float with NaN and infinity": Values("float8", ("1", "2"), ("'NaN'", "'infinity'", "'-infinity'")),
    "infinities": Values("float4", ("'infinity'", "'-infinity'")),
    "a domain": Values("public.low", ("8", "9")),
    "a domain over a domain": Values("public.lower", ("8", "9")),
    "dates with infinity": Values("date", ("'2024-02-27'", "'2024-03-01'"), ("'infinity'",)),
    "infinite dates": Values("date", ("'infinity'", "'-infinity'")),
    "dates within bounds": Values(
        "date", ("'2024-02-27'", "'2024-03-01'"), more="CHECK (value BETWEEN '2024-02-27' AND '2024-03-01')"
    ),
    "timestamps": Values("timestamptz", ("'2024-02-27'", "'294276-12-31'")),
    "a time of day": Values("time", ("'10:00'", "'24:00'")),
    "an interval": Values("interval", ("'1 s'", "'1 mon'")),
    "a short text": Values("varchar(1)", ("'a'", "'b'"), ("'0'", "'1'")),
    "a blank-padded text": Values("char(2)", ("'a'", "'b'")),
    "a uuid": Values("uuid", ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'")),
    "bytes": Values("bytea", (r"'\x'", r"'\x0000000000000000'")),
    "an address": Values("inet", ("'0.0.0.0'", "'::1'")),
    "an enum with a label to spare": Values("public.colour", ("'red'", "'green'")),
    "ranges that may not overlap": Values("int4range", ("'[1,5)'", "'[5,9)'"), unique=APART),
    "numbers kept apart by a hash": Values("int", ("1", "2"), unique="EXCLUDE USING hash ({} WITH =)"),
    "a text, folded": Values("text", ("'a'", "'B'"), unique="expression lower({})"),
    "a sum": Values("int", ("1", "2"), unique="expression ({} + 0)"),
    "a condition": Values("int", ("1", "2"), unique="expression {}) WHERE ({} > 0"),
} | (MULTIRANGES if release() >= 14 else {})


def make(databases: Databases, values: Values, kept: str) -> None:
    """Makes a live and a staged table. A foreign key with the action ``kept`` refers to rows that stay."""
    swapped, unique = values.swapped, values.unique.replace("{}", "value")
    staged, live = (
        ", ".join(f"({number}, {value})" for number, value in enumerate((*order, *values.stay), start=1))
        for order in (reversed(swapped), swapped)
    )
    constraint = f"ALTER TABLE live.a ADD {unique}"
    if unique.startswith("expression"):
        constraint = f"CREATE UNIQUE INDEX ON live.a ({unique.removeprefix('expression ')})"
    databases.reporting.execute(
        f"""DROP SCHEMA IF EXISTS live, etl_staging_live CASCADE; CREATE SCHEMA live; CREATE SCHEMA etl_staging_live;
        CREATE TABLE live.a (id int PRIMARY KEY, value {values.kind} NOT NULL {values.more});
        CREATE TABLE etl_staging_live.a (id int, value {values.kind});
        CREATE TABLE live.notes (id int REFERENCES live.a ON DELETE {kept});
        INSERT INTO live.a VALUES {live}; INSERT INTO etl_staging_live.a VALUES {staged};
        INSERT INTO live.notes VALUES (1), (2); {constraint}"""
    )


def test_values_of_every_kind_change_hands_beside_a_foreign_key_that_acts(databases: Databases) -> None:
    """No row is deleted for it: what refers to the rows is still there."""
    databases.reporting.execute(MADE)
    failed = {}
    for name, values in KINDS.items():
        make(databases, values, "CASCADE")
        before = databases.reporting.value("SELECT array_agg(xmin::text) FROM live.a WHERE id > 2")
        rows = "SELECT id, value::text FROM {}.a ORDER BY id"
        staged = databases.reporting.rows(rows.format("etl_staging_live"))
        try:
            asyncio.run(merged(databases.reporting.etl_url, ["a"]))
        except PublishFailed as error:
            failed[name] = str(error)
            continue
        assert (name, databases.reporting.rows(rows.format("live"))) == (name, staged)
        assert databases.reporting.value("SELECT count(*) FROM live.notes") == 2
        assert databases.reporting.value("SELECT array_agg(xmin::text) FROM live.a WHERE id > 2") == before
    assert failed == {}


FULL = {
    "a boolean": Values("bool", ("true", "false")),
    "an enum without a label to spare": Values("public.colour", ("'red'", "'green'"), ("'blue'", "'white'")),
    "a value that only an expression keeps apart": Values("int", ("0", "1"), unique="expression (abs({}) % 2)"),
}


@pytest.mark.parametrize("name", FULL)
def test_without_a_free_value_a_row_is_replaced_if_nothing_acts_on_that(databases: Databases, name: str) -> None:
    """Otherwise the line names the index and what would see it, and does not say that two new rows collide."""
    databases.reporting.execute(MADE)
    make(databases, FULL[name], "NO ACTION")
    asyncio.run(merged(databases.reporting.etl_url, ["a"]))
    make(databases, FULL[name], "CASCADE")
    with pytest.raises(PublishFailed, match="a row cannot take its new values while another one still has them"):
        asyncio.run(merged(databases.reporting.etl_url, ["a"]))


def test_only_what_truly_collides_has_to_be_parked(databases: Databases) -> None:
    """Beside a table whose values swap, those of others change that could not be parked, and need not be."""
    databases.reporting.execute(
        """DROP SCHEMA IF EXISTS live, etl_staging_live CASCADE; CREATE SCHEMA live; CREATE SCHEMA etl_staging_live;
        CREATE TABLE live.a (id int PRIMARY KEY, value int NOT NULL UNIQUE, mood text UNIQUE CHECK (mood LIKE 'm%'),
          is_on bool NOT NULL, UNIQUE (id, is_on), CHECK (mood IS NOT NULL));
        CREATE TABLE live.b (id int PRIMARY KEY REFERENCES live.a ON DELETE CASCADE, is_on bool NOT NULL UNIQUE);
        CREATE TABLE live.c (id int REFERENCES live.b ON DELETE CASCADE, word text NOT NULL UNIQUE CHECK (word ~ '^w'));
        INSERT INTO live.a VALUES (1, 1, 'm1', true), (2, 2, 'm2', true); INSERT INTO live.b VALUES (1, true);
        INSERT INTO live.c VALUES (1, 'w1');
        CREATE TABLE etl_staging_live.a AS VALUES (1, 2, 'm3', false), (2, 1, 'm4', true);
        CREATE TABLE etl_staging_live.b AS VALUES (1, false); CREATE TABLE etl_staging_live.c AS VALUES (1, 'w2');
        ALTER TABLE etl_staging_live.a RENAME column1 TO id; ALTER TABLE etl_staging_live.a RENAME column2 TO value;
        ALTER TABLE etl_staging_live.a RENAME column3 TO mood; ALTER TABLE etl_staging_live.a RENAME column4 TO is_on;
        ALTER TABLE etl_staging_live.b RENAME column1 TO id; ALTER TABLE etl_staging_live.b RENAME column2 TO is_on;
        ALTER TABLE etl_staging_live.c RENAME column1 TO id; ALTER TABLE etl_staging_live.c RENAME column2 TO word"""
    )
    asyncio.run(merged(databases.reporting.etl_url, ["a", "b", "c"]))
    assert databases.reporting.rows("TABLE live.a ORDER BY id") == [(1, 2, "m3", False), (2, 1, "m4", True)]
    assert databases.reporting.rows("SELECT b.*, c.* FROM live.b, live.c") == [(1, False, 1, "w2")]
