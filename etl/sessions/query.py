"""Translates the queries of ``sql/``, which psql can run, for each of the two drivers.

A query with several concerns is a folder and a file: each file of ``sql/live/`` is a CTE, named like the file, of
``sql/live.sql``, so that the server answers all of them in one round trip. A variable with the name of another file of
the folder (``:'objects'``) is the list of its oids there. ``python -m etl.sessions.query NAME`` prints such a query as
one text, which psql can run. The folder ``sql/ledger/`` has no such file: its files are statements of their own, with
names such as ``ledger/loads``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

T = TypeVar("T")

_FOLDER = files("etl").joinpath("sql")

_PREPARED = ("extras",)
"""The queries of every load, which each session prepares. Of the statements for a tiny table, only COPY took the target
longer than planning this query (benchmarks/NOTES.md, "Tiny tables")."""

_VARIABLE = re.compile(r":'(\w+)'")

_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
"""A comment line. Comments are removed, because they name variables, too, and a value in one could end the comment."""


@cache
def _file(name: str) -> str:
    """The text of ``sql/<name>.sql``, composed with the files of ``sql/<name>/``, if there are any."""
    text, concerns = _read(_FOLDER.joinpath(f"{name}.sql")), _FOLDER.joinpath(name)
    if not concerns.is_dir():
        return text
    bodies = {file.name.removesuffix(".sql"): _unended(_read(file)) for file in concerns.iterdir()}
    given = {variable for body in bodies.values() for variable in _VARIABLE.findall(body)}
    first = sorted(bodies, key=lambda concern: (concern not in given, concern))  # a CTE sees those before it
    tables = ",\n".join(f"{concern} AS (\n{_linked(bodies[concern], bodies)}\n)" for concern in first)
    return f"WITH {tables}\n{text}"


def _linked(body: str, concerns: Collection[str]) -> str:
    """A concern's query; a variable with the name of another concern is the list of that one's oids."""

    def value(variable: re.Match[str]) -> str:
        return f"ARRAY(SELECT oid FROM {variable[1]})" if variable[1] in concerns else variable[0]  # noqa: S608

    return _VARIABLE.sub(value, body)


def _read(file: Traversable) -> str:
    return _COMMENT.sub("", file.read_text(encoding="ascii"))


def _unended(statement: str) -> str:
    return statement.rstrip().removesuffix(";")


def _variables(text: str) -> list[str]:
    return list(dict.fromkeys(_VARIABLE.findall(text)))


@cache
def source_query(name: str) -> str:
    """``sql/<name>.sql`` for asyncpg: psql's ``:'variables'`` become $1, $2 … in order of appearance."""
    text = _file(name)
    order = _variables(text)
    return _VARIABLE.sub(lambda match: f"${order.index(match[1]) + 1}", text)


@cache
def target_query(name: str) -> bytes:
    """``sql/<name>.sql`` for psycopg: psql's ``:'variables'`` become %(variables)s, and it may precede a semicolon."""
    return _VARIABLE.sub(r"%(\1)s", _unended(_file(name)).replace("%", "%%")).encode()


@cache
def prepare() -> str:
    """The statements with which a session of the target prepares the queries of every load."""
    types = {name: ", ".join("text" for _ in _variables(_file(name))) for name in _PREPARED}
    statements = (f"PREPARE {name} ({types[name]}) AS {source_query(name)}" for name in _PREPARED)
    return "; ".join(["DEALLOCATE ALL", *statements])  # a pooler may pass on the session of another run


def prepared(name: str, values: Mapping[str, str]) -> sql.Composed:
    """The statement that executes the prepared query ``sql/<name>.sql``."""
    in_order = [sql.Literal(values[variable]) for variable in _variables(_file(name))]
    return sql.SQL("EXECUTE {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(in_order))


def bound(name: str, values: Mapping[str, object]) -> sql.Composed:
    """``sql/<name>.sql`` with values in place of its variables, for use within another statement."""
    parts = _VARIABLE.split(_unended(_file(name)))  # text and variables alternate
    return sql.Composed([sql.Literal(values[part]) if i % 2 else sql.SQL(part) for i, part in enumerate(parts)])


async def rows(
    session: psycopg.AsyncConnection[Any],
    kind: type[T],
    query: bytes | sql.Composed,
    values: Mapping[str, Any] | None = None,
) -> list[T]:
    """The rows of a query on the target, as dataclasses whose fields are the query's columns."""
    async with session.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


def text(composed: sql.Composable) -> str:
    """Converts a statement that was composed with psycopg.sql into text, for asyncpg."""
    return composed.as_string(None)


if __name__ == "__main__":
    sys.stdout.write(_file(sys.argv[1]))
