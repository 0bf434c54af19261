"""Random schemas and random rows, for two nights: the copies equal the source.

Ten examples, the same each time; ETL_TEST_EXAMPLES=200 tries 200 random ones, and prints how to repeat a failure.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.dump import difference, schema_of
from tests.harness import Databases, Etl
from tests.mirror import contents

EXAMPLES = os.environ.get("ETL_TEST_EXAMPLES")

_numbers = count()

Literals = st.SearchStrategy[str]


def characters(*, without: str = "") -> st.SearchStrategy[str]:
    """Every character that PostgreSQL stores: no NUL, no surrogates."""
    return st.characters(exclude_categories=["Cs"], exclude_characters="\0" + without)


def arrays(elements: Literals) -> Literals:
    quoted = elements.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return st.lists(quoted | st.just("NULL"), max_size=4).map(lambda parts: "{" + ",".join(parts) + "}")


def integers(bits: int) -> Literals:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


words = st.text(characters(), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
).map(json.dumps)
moments = st.datetimes().map(lambda at: f"{at.isoformat()}")

SORTABLE: dict[str, Literals] = {
    "bool": st.sampled_from(["t", "f"]),
    "smallint": integers(16),
    "integer": integers(32),
    "bigint": integers(64),
    "real": st.floats(width=32).map(str),
    "double precision": st.floats().map(str),
    "numeric": st.decimals(allow_infinity=False).map(lambda n: str(n).replace("sNaN", "NaN").replace("-NaN", "NaN")),
    "numeric(12,3)": st.integers(-(10**11), 10**11).map(lambda n: f"{n}e-3"),
    "text": words,
    'text COLLATE "C"': words,
    "varchar(20)": words,
    "char(20)": words,
    "bytea": st.binary(max_size=40).map(lambda data: "\\x" + data.hex()),
    "date": st.dates().map(str),
    "timestamp": moments,
    "timestamp(2) with time zone": moments.map(lambda at: f"{at}+05:45"),
    "time": st.times().map(str),
    "interval": st.tuples(*[st.integers(-(10**6), 10**6)] * 3).map(lambda n: "{} mons {} days {} us".format(*n)),
    "uuid": st.uuids().map(str),
    "inet": st.ip_addresses().map(str),
    "bit(8)": st.text("01", min_size=8, max_size=8),
    "jsonb": documents,
    "text[]": arrays(words),
    "integer[]": arrays(integers(32)),
    "int4range": st.lists(integers(31).map(int), min_size=2, max_size=2).map(lambda ends: f"[{min(ends)},{max(ends)}]"),
}
OTHERS: dict[str, Literals] = {
    "json": documents,
    "point": st.tuples(st.floats(), st.floats()).map(str),
    "tsvector": st.text("ab c'", min_size=1, max_size=9).map(lambda text: "'" + text.replace("'", "''") + "'"),
}


def identifiers() -> st.SearchStrategy[str]:
    """Names of any characters that PostgreSQL accepts, up to 63 bytes."""
    return st.text(characters(), min_size=1, max_size=20).filter(lambda name: len(name.encode()) <= 63)


@dataclass(frozen=True)
class Story:
    """A source on two nights: the tables, and what makes them before each run, in a schema of their own."""

    tables: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draws one to three tables with their types, rows, keys and indexes, and others of the same names."""
    labels = draw(st.lists(identifiers(), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(identifiers().filter(lambda name: name != "mood"), min_size=2, max_size=6, unique=True))
    tables, indexes = names[::2], [*names[1::2], None]
    enum = f"CREATE TYPE mood AS ENUM ({', '.join(map(_literal, labels))})"
    first, second = (
        [text for table, index in zip(tables, indexes, strict=False) for text in draw(_tables(table, index, labels))]
        for _ in range(2)
    )
    drop = f"DROP TABLE {', '.join(map(_quoted, tables))}"
    return Story(tuple(tables), (enum, *first), (drop, *second))


@st.composite
def _tables(draw: st.DrawFn, name: str, index: str | None, labels: list[str]) -> list[str]:
    kinds = SORTABLE | OTHERS | {"mood": st.sampled_from(labels)}
    kind = st.tuples(identifiers(), st.sampled_from(list(kinds)), st.booleans())
    columns = draw(st.lists(kind, min_size=1, max_size=6, unique_by=lambda column: column[0]))
    values = [kinds[type_] if not_null else st.none() | kinds[type_] for _, type_, not_null in columns]
    rows = draw(st.lists(st.tuples(*values), max_size=5))
    definitions = [f"{_quoted(own)} {type_}{' NOT NULL' * not_null}" for own, type_, not_null in columns]
    statements = [f"CREATE TABLE {_quoted(name)} ({', '.join(definitions)})"]
    for row in rows:
        parts = (f"{_literal(value)}::{type_}" for value, (_, type_, _) in zip(row, columns, strict=True))
        statements.append(f"INSERT INTO {_quoted(name)} VALUES ({', '.join(parts)})")
    sortable = [own for own, type_, _ in columns if type_ not in OTHERS]
    if index is not None and sortable:
        key = draw(st.lists(st.sampled_from(sortable), min_size=1, max_size=2, unique=True))
        order = draw(st.sampled_from(["", " DESC", " NULLS FIRST"]))
        indexed = ", ".join(f"{_quoted(own)}{order}" for own in key)
        statements.append(f"CREATE INDEX {_quoted(index)} ON {_quoted(name)} ({indexed})")
    return statements


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


def _literal(value: str | None) -> str:
    return sql.Literal(value).as_string()


@pytest.mark.superuser("compares the owners of both sides")
@settings(
    max_examples=int(EXAMPLES or 10),
    derandomize=EXAMPLES is None,
    print_blob=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),  # the fixtures are for all examples: each has a schema of its own
)
@given(story=stories())
def test_what_arrives_is_what_was_there(databases: Databases, etl: Etl, tmp_path: Path, story: Story) -> None:
    """Bit for bit, in text and in binary form, and with the same definitions; on the second night too."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\nshrink_at_most = "off"')  # a table may lose all its rows
    source, target = databases.operational, databases.reporting
    schema = f"story_{next(_numbers)}"
    names = json.dumps([f"{schema}.{_quoted(table)}" for table in story.tables])
    with source.connect(options=f"-c search_path={schema}") as session:
        session.execute(f"CREATE SCHEMA {schema}".encode())
        for statements in (story.first, story.second):
            for statement in statements:
                session.execute(statement.encode())
            done = etl("run", TABLES=names, ETL_VERIFY="checksum", ETL_OPTIONS_FILE=str(options))
            assert (done.status, done.stderr) == (0, "")
            for table in story.tables:
                name = sql.Identifier(schema, table)
                for form in ("text", "binary"):
                    assert contents(target, name, form) == contents(source, name, form)
            only = f"--table={schema}.*"  # not the enum, which perhaps no column needs
            assert difference(schema_of(source, only), schema_of(target, only)) == []
        session.execute(f"DROP SCHEMA {schema} CASCADE".encode())
    target.execute(f"DROP SCHEMA {schema} CASCADE")
