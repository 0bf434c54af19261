"""Names, comments, labels and definitions made to be taken for SQL, for markup, or for a terminal's orders."""

from __future__ import annotations

import json

import pytest
from psycopg import sql

from tests.harness import Database, Databases, Etl

NAMES = [
    """x"; DROP TABLE canary; --""",
    """x'; DROP TABLE canary; --""",
    """$$; DROP TABLE canary; $$""",
    """$1 %s %(name)s {} {0} :'schemas'""",
    """\\'; DROP TABLE canary; --""",
    "line\nend; DROP TABLE canary",
    "\x1b[2J\x1b]0;owned\x07",
    "[bold red]x[/] <!channel> *slack*",
    "/* x */ -- y",
]


def identifier(*parts: str) -> str:
    """Quotes a name."""
    return sql.Identifier(*parts).as_string(None)


def literal(text: str) -> str:
    """Quotes a text."""
    return sql.Literal(text).as_string(None)


def make_source(database: Database, name: str) -> None:
    """Makes a table whose every part is named so: schema, table, columns, type, labels, keys, indexes, comments."""
    schema, table, quoted, text = identifier(name), identifier(name, name), identifier(name), literal(name)
    database.execute(f"""
        CREATE TABLE canary (id int PRIMARY KEY);
        CREATE SCHEMA {schema};
        CREATE TYPE {schema}.{identifier("mood of " + name)} AS ENUM ({text}, 'calm');
        CREATE TABLE {table} (
            {quoted} text COLLATE "C" NOT NULL,
            {identifier("m " + name)} {schema}.{identifier("mood of " + name)},
            CONSTRAINT {identifier("key " + name)} PRIMARY KEY ({quoted}),
            CONSTRAINT {identifier("check " + name)} CHECK ({quoted} <> '' OR {quoted} = {text})
        );
        INSERT INTO {table} VALUES ({text}, {text}), ('other', 'calm');
        CREATE INDEX {identifier("index " + name)} ON {table} ({identifier("m " + name)}) WHERE {quoted} <> {text};
        CREATE STATISTICS {schema}.{identifier("stats " + name)} ON {quoted}, {identifier("m " + name)} FROM {table};
        COMMENT ON TABLE {table} IS {text};
        COMMENT ON COLUMN {table}.{quoted} IS {text};
        COMMENT ON INDEX {schema}.{identifier("index " + name)} IS {text};
    """)


def make_reporting(database: Database, name: str) -> None:
    """Hangs a view, a grant, a policy, an index and a default of such names on the live table."""
    schema, table, quoted, text = identifier(name), identifier(name, name), identifier(name), literal(name)
    role = identifier("role " + name)
    database.execute(f"""
        CREATE TABLE canary (id int PRIMARY KEY);
        DROP ROLE IF EXISTS {role};
        CREATE ROLE {role};
        GRANT SELECT ({quoted}) ON {table} TO {role};
        CREATE VIEW {schema}.{identifier("view " + name)} AS SELECT {quoted}, {text}::text AS said FROM {table};
        COMMENT ON VIEW {schema}.{identifier("view " + name)} IS {text};
        CREATE INDEX {identifier("extra " + name)} ON {table} ({quoted}, {identifier("m " + name)});
        CREATE POLICY {identifier("policy " + name)} ON {table} USING ({quoted} <> {text});
        ALTER TABLE {table} ALTER COLUMN {quoted} SET DEFAULT {text};
    """)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_made_to_inject_are_names(databases: Databases, etl: Etl, name: str) -> None:
    """Two nights, with all that can be named so on both sides: it arrives, outlives the publish, and does nothing."""
    make_source(databases.operational, name)
    tables = json.dumps([f"{identifier(name)}.*"])
    first = etl("run", TABLES=tables)
    assert (first.status, first.stderr) == (0, "")
    make_reporting(databases.reporting, name)
    second = etl("run", TABLES=tables, ETL_VERIFY="checksum")
    assert (second.status, second.stderr) == (0, "")
    select = f"SELECT * FROM {identifier(name, name)} ORDER BY 1"
    assert databases.reporting.rows(select) == databases.operational.rows(select)
    view = identifier(name, "view " + name)
    assert sorted(databases.reporting.rows(f"SELECT * FROM {view}")) == sorted([(name, name), ("other", name)])
    for database in (databases.operational, databases.reporting):
        assert database.value("SELECT count(*) FROM canary") == 0
    assert "\x1b" not in second.stdout + etl("check", TABLES=tables).stdout
    held = databases.reporting.value(
        f"SELECT count(*) FROM pg_policy WHERE polrelid = {literal(identifier(name, name))}::regclass"
    )
    assert held == 1
