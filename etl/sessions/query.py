"""The statements of ``sql/*.sql``, which psql can run, as each driver takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row

T = TypeVar("T")

_PREPARED = ("extras",)
"""Queries that every load asks, which a session prepares: planning this one took the target longer than any other
statement of a tiny table but its COPY (benchmarks/NOTES.md, "Tiny tables")."""

_VARIABLE = re.compile(r":'(\w+)'")


@cache
def _file(name: str) -> str:
    return files("etl").joinpath("sql", f"{name}.sql").read_text(encoding="ascii")


def _variables(text: str) -> list[str]:
    return list(dict.fromkeys(_VARIABLE.findall(text)))


@cache
def source_query(name: str) -> str:
    """Gives ``sql/<name>.sql`` for asyncpg: psql's ``:'variables'`` become $1, $2 … in order of appearance."""
    text = _file(name)
    order = _variables(text)
    return _VARIABLE.sub(lambda match: f"${order.index(match[1]) + 1}", text)


@cache
def target_query(name: str) -> bytes:
    """Gives ``sql/<name>.sql`` for psycopg: psql's ``:'variables'`` become %(variables)s."""
    return _VARIABLE.sub(r"%(\1)s", _file(name).replace("%", "%%")).encode()


@cache
def prepare() -> str:
    """Gives the text by which a session of the target prepares the queries that every load asks."""
    types = {name: ", ".join("text" for _ in _variables(_file(name))) for name in _PREPARED}
    statements = (f"PREPARE {name} ({types[name]}) AS {source_query(name)}" for name in _PREPARED)
    return "; ".join(["DEALLOCATE ALL", *statements])  # a pooler may give us a session that was another run's


def prepared(name: str, values: Mapping[str, str]) -> sql.Composed:
    """Gives the statement that executes ``sql/<name>.sql`` as the session has prepared it."""
    in_order = [sql.Literal(values[variable]) for variable in _variables(_file(name))]
    return sql.SQL("EXECUTE {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(in_order))


def bound(name: str, values: Mapping[str, object]) -> sql.Composed:
    """Gives ``sql/<name>.sql`` with its variables' values in it, to be a part of another statement."""
    parts = _VARIABLE.split(_file(name).rstrip().removesuffix(";"))  # text and variables in turns
    return sql.Composed([sql.Literal(values[part]) if i % 2 else sql.SQL(part) for i, part in enumerate(parts)])


async def rows(
    session: psycopg.AsyncConnection[Any],
    kind: type[T],
    query: bytes | sql.Composed,
    values: Mapping[str, Any] | None = None,
) -> list[T]:
    """The rows of a query on the target, each as a dataclass whose fields are its columns."""
    async with session.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


def text(composed: sql.Composable) -> str:
    """Gives SQL composed with psycopg.sql as text, for asyncpg."""
    return composed.as_string(None)
