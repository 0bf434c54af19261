"""Tables of every type, and a comparison of both databases that shares no code with the product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

from tests.harness import Database

# These settings make every value exact, whatever the database or the role has set.
_EXACT = (
    "-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=3 -c bytea_output=hex"
    " -c lc_monetary=C -c search_path= -c quote_all_identifiers=off -c statement_timeout=120s"
)


def contents(
    database: Database, table: sql.Composable, form: str = "text", *, snapshot: str | None = None
) -> list[bytes]:
    """All rows of a table as COPY sends them, sorted; those of an exported snapshot, if one is given."""
    query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT {})").format(table, sql.SQL(form))
    with database.connect(options=_EXACT) as connection, connection.transaction():
        if snapshot is not None:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        with connection.cursor().copy(query) as copy:
            return sorted(bytes(piece) for piece in copy)


def assert_same(source: Database, target: Database, names: Iterable[str], form: str = "text") -> None:
    """Compares tables of schema ``public`` in both databases; fails with the first row that differs."""
    for name in names:
        table = sql.Identifier("public", name)
        assert contents(target, table, form) == contents(source, table, form), f"{name}, as {form}"


def make_user_types(database: Database, types: Iterable[str]) -> None:
    """Creates, for each type, a domain, a domain over this domain, and a composite type: ``d_…``, ``dd_…``, ``c_…``."""
    make = """
        CREATE DOMAIN public.{d} AS pg_catalog.{t}; CREATE DOMAIN public.{dd} AS public.{d};
        CREATE TYPE public.{c} AS (one pg_catalog.{t}, many pg_catalog.{t}[], own public.{dd});
    """
    database.execute("; ".join(_named(make, name).as_string() for name in types))


def fill(database: Database, samples: Mapping[str, tuple[str, ...]]) -> None:
    """Creates two tables a type, ``plain_…`` and ``user_…``, with the samples, NULLs, and arrays of every shape."""
    with database.connect() as connection:
        for name, values in samples.items():
            connection.execute(_named(_TABLES, name))
            rows: list[tuple[str | None, str | None]]
            rows = [(value, array) for value in values for array in (None, _array(name, (value,)))]
            rows += [(None, array) for array in (None, *_arrays(name, values))]
            cursor = connection.cursor()
            cursor.executemany(_named("INSERT INTO public.{plain} VALUES (%s, %s)", name), rows)
            cursor.executemany(_named(_INSERT_USER, name), [dict(zip("va", row, strict=True)) for row in rows])


_TABLES = """
    CREATE TABLE public.{plain} (v pg_catalog.{t}, a pg_catalog.{t}[]);
    CREATE TABLE public.{user} (
        dd public.{dd}, da public.{d}[], c public.{c}, ca public.{c}[], v pg_catalog.{t}, a pg_catalog.{t}[])
"""

_INSERT_USER = """
    INSERT INTO public.{user} (dd, da, c.one, c.many, v, a, ca[2].one, ca[2].many, ca[-1].own)
    SELECT v, a::text::public.{d}[], v, a, v, a, v, a, v
      FROM (SELECT %(v)s::pg_catalog.{t} AS v, %(a)s::pg_catalog.{t}[] AS a) AS row
"""


def _named(template: str, name: str) -> sql.Composed:
    parts = {prefix: sql.Identifier(f"{prefix}_{name}") for prefix in ("d", "dd", "c", "plain", "user")}
    return sql.SQL(template).format(t=sql.Identifier(name), **parts)


def _arrays(name: str, values: tuple[str, ...]) -> list[str]:
    """Array literals: full, empty, nested, with NULLs, and with lower bounds other than 1."""
    pair = _array(name, (values[0], None))
    nested = "{" + _delimiter(name).join((pair, _array(name, (None, values[-1])))) + "}"
    return ["{}", _array(name, values), _array(name, (None,)), nested, f"[-2:-1]={pair}", f"[0:1][5:6]={nested}"]


def _array(name: str, values: Iterable[str | None]) -> str:
    return "{" + _delimiter(name).join("NULL" if value is None else _quoted(value) for value in values) + "}"


def _delimiter(name: str) -> str:
    return ";" if name == "box" else ","


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def has_xml(database: Database) -> bool:
    """Tells whether the server was built with libxml."""
    try:
        return bool(database.value("SELECT '<a/>'::xml IS DOCUMENT"))
    except psycopg.errors.FeatureNotSupported:
        return False
