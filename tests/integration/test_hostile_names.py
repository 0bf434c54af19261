"""Names, comments, labels and definitions that look like SQL, markup or terminal escape sequences."""

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
    """Creates a table with this name for every part: schema, table, columns, type, labels, keys, indexes, comments."""
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
    """Creates a view, a grant, a policy, an index and a default with such names on the live table."""
    schema, table, quoted, text = identifier(name), identifier(name, name), identifier(name), literal(name)
    role = identifier("role " + name)
    database.execute(f"""
        CREATE TABLE canary (id int PRIMARY KEY);
        CREATE ROLE {role};
        GRANT SELECT ({quoted}) ON {table} TO {role};
        CREATE VIEW {schema}.{identifier("view " + name)} AS SELECT {quoted}, {text}::text AS said FROM {table};
        COMMENT ON VIEW {schema}.{identifier("view " + name)} IS {text};
        CREATE INDEX {identifier("extra " + name)} ON {table} ({quoted}, {identifier("m " + name)});
        CREATE POLICY {identifier("policy " + name)} ON {table} USING ({quoted} <> {text});
        ALTER TABLE {table} ALTER COLUMN {quoted} SET DEFAULT {text};
    """)


COMMENTS = """
    SELECT 'table', obj_description({table}::regclass, 'pg_class')
    UNION ALL SELECT 'column', col_description({table}::regclass, 1)
    UNION ALL SELECT 'index ' || c.relname, obj_description(c.oid, 'pg_class')
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {table}::regclass
    UNION ALL SELECT 'constraint ' || conname, pg_get_constraintdef(oid)
      FROM pg_constraint WHERE conrelid = {table}::regclass AND contype <> 'n'
    UNION ALL SELECT 'statistics', stxname FROM pg_statistic_ext WHERE stxrelid = {table}::regclass
"""

ATTACHED = """
    SELECT (SELECT polname::text FROM pg_policy WHERE polrelid = {table}::regclass),
           (SELECT attacl::text FROM pg_attribute WHERE attrelid = {table}::regclass AND attnum = 1),
           (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = {table}::regclass),
           (SELECT obj_description({view}::regclass, 'pg_class')), pg_get_viewdef({view}::regclass)
"""


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_made_to_inject_are_names(databases: Databases, etl: Etl, name: str) -> None:
    """Two nights, with such names for everything on both sides: all arrives and stays, and no name is executed."""
    make_source(databases.operational, name)
    tables = json.dumps([f"{identifier(name)}.*"])
    first = etl("run", TABLES=tables)
    assert (first.status, first.stderr) == (0, "")
    make_reporting(databases.reporting, name)
    table, view = identifier(name, name), identifier(name, "view " + name)
    attached = ATTACHED.format(table=literal(table), view=literal(view))
    before = databases.reporting.rows(attached)

    second = etl("run", TABLES=tables, ETL_VERIFY="checksum")

    assert (second.status, second.stderr) == (0, "")
    assert databases.reporting.rows(attached) == before
    assert None not in before[0]
    rows = f"SELECT * FROM {table} ORDER BY 1"
    assert databases.reporting.rows(rows) == databases.operational.rows(rows)
    comments = COMMENTS.format(table=literal(table))
    arrived, extra = databases.reporting.rows(comments), ("index extra " + name, None)
    assert sorted(map(str, arrived)) == sorted(map(str, [*databases.operational.rows(comments), extra]))
    assert sorted(databases.reporting.rows(f"SELECT * FROM {view}")) == sorted([(name, name), ("other", name)])
    for database in (databases.operational, databases.reporting):
        assert database.value("SELECT count(*) FROM canary") == 0
    assert "\x1b" not in second.stdout + etl("check", TABLES=tables).stdout
