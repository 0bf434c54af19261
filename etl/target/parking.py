"""Parking: statements that make room for unique values that go over from one row to another.

Unique values are checked row by row, so a row cannot take a value while another one still has it. Both rows then give
up their values first: they are parked at values that no row has, neither a live nor a staged one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from etl.target.keys import Apart
from etl.target.merge import Merge, differ
from etl.target.mergeable import Column


@dataclass(frozen=True, slots=True)
class _Kind:
    """How free values of a kind of type are found: ``taken`` is a value as it is compared, ``candidates`` are others.

    A candidate is made of the number ``g.n``, which counts from 0.
    """

    taken: str
    candidates: tuple[str, ...]
    usable: str = "true"


def ways(merge: Merge, apart: Apart) -> list[sql.Composed]:
    """The statements of which one may make room in an index; each counts the rows that it has concerned.

    They park the rows whose values of that index change, at NULL; let them be deleted and inserted, if nothing acts on
    that; or park them at other values. A later one may follow an earlier one that did not suffice.
    """
    return [
        *(_parked(merge, apart, column, sql.SQL(value)) for column, value in _constants(merge, apart)),
        *([] if merge.into.acts else [_written(merge, apart, _REPLACE)]),
        *(
            _freed(merge, apart, column, kind, candidate)
            for column in _columns(merge, apart)
            if (kind := _KINDS.get(column.kind)) is not None
            for candidate in kind.candidates
        ),
    ]


def _columns(merge: Merge, apart: Apart) -> list[Column]:
    """The columns that may park a row for an index; those of the key last, because a partition may depend on them."""
    key = merge.into.keys.key
    columns = [
        column
        for column in merge.into.columns
        # an action ON UPDATE would concern the rows that refer to the column
        if column.name in apart.depends_on and not (column.given or column.is_referred_to)
    ]
    return sorted(columns, key=lambda column: key is not None and column.name in key.names)


def _constants(merge: Merge, apart: Apart) -> Iterator[tuple[Column, str]]:
    """Values that collide with no other value, not even with themselves: NULL, and in && an empty range."""
    for column in _columns(merge, apart):
        if column.is_nullable and not apart.nulls_are_alike:
            yield column, "NULL"
        if column.kind in _EMPTY:
            yield column, _EMPTY[column.kind]


def _parked(merge: Merge, apart: Apart, column: Column, value: sql.Composable) -> sql.Composed:
    return _written(merge, apart, _PARK, column=sql.Identifier(column.name), value=value)


def _freed(merge: Merge, apart: Apart, column: Column, kind: _Kind, candidate: str) -> sql.Composed:
    name, taken = sql.Identifier(column.name), sql.SQL(kind.taken)
    parts = {
        "column": name,
        "taken": taken.format(column=name),
        "usable": sql.SQL(kind.usable).format(column=name),
        "candidate": sql.SQL(candidate).format(column=name, rows=merge.into.rows),
    }
    return _written(merge, apart, _PARK_FREE, **parts)


def _written(merge: Merge, apart: Apart, text: str, **parts: sql.Composable) -> sql.Composed:
    columns = apart.depends_on if {*apart.depends_on} <= {*merge.columns} else merge.columns  # a generated one: any may
    moving = merge.composed(_MOVING, moves=differ(columns))
    return merge.composed(text, moving=moving, placed=merge.composed(_PLACED), **parts)


_MOVING = (
    "moving AS MATERIALIZED"
    " (SELECT p.ctid AS pair, p.part, p.live, p.staged, pg_catalog.row_number() OVER () AS n"
    " FROM {pairs} AS p, {rows} AS l, {staged} AS s"
    " WHERE l.ctid = p.live AND l.tableoid = p.part AND s.ctid = p.staged AND {moves})"
)

_PLACED = (
    "RETURNING m.pair, l.tableoid AS part, l.ctid AS live),"
    " placed AS (UPDATE {pairs} AS p SET part = parked.part, live = parked.live FROM parked WHERE p.ctid = parked.pair"
    " RETURNING 1) SELECT pg_catalog.count(*) AS pairs FROM placed"
)

_PARK = (
    "WITH {moving}, parked AS (UPDATE {rows} AS l SET {column} = {value} FROM moving AS m"
    " WHERE l.ctid = m.live AND l.tableoid = m.part {placed}"
)

# live and staged rows cannot take all candidates, because there are more candidates than rows
_PARK_FREE = (
    "WITH {moving}, taken AS MATERIALIZED (SELECT {taken} AS value FROM {rows} WHERE {usable}"
    " UNION ALL SELECT {taken} FROM {staged} WHERE {usable}),"
    " wanted AS MATERIALIZED (SELECT pg_catalog.count(*) AS n FROM moving),"
    " free AS MATERIALIZED (SELECT c.value, pg_catalog.row_number() OVER () AS n"
    " FROM (SELECT {candidate} AS value FROM pg_catalog.generate_series("
    "0, (SELECT pg_catalog.count(*) FROM taken) + (SELECT n FROM wanted)) AS g (n)) AS c"
    " WHERE c.value IS NOT NULL AND NOT EXISTS (SELECT FROM taken AS t WHERE t.value OPERATOR(pg_catalog.=) c.value)"
    " LIMIT (SELECT n FROM wanted)),"
    " parked AS (UPDATE {rows} AS l SET {column} = f.value FROM moving AS m, free AS f"
    " WHERE f.n = m.n AND l.ctid = m.live AND l.tableoid = m.part {placed}"
)

_REPLACE = (
    "WITH {moving}, replaced AS (UPDATE {pairs} AS p SET staged = NULL FROM moving AS m WHERE p.ctid = m.pair),"
    " added AS (INSERT INTO {pairs} (staged) SELECT staged FROM moving RETURNING 1)"
    " SELECT pg_catalog.count(*) AS pairs FROM added"
)

# between the lowest and the highest value first: a check constraint has let these two pass
_KINDS = {
    "number": _Kind(
        "{column}::pg_catalog.numeric",
        (
            "coalesce((SELECT pg_catalog.min(value) FROM taken), 0) + g.n",
            "coalesce((SELECT pg_catalog.max(value) FROM taken), 0) - g.n",
        ),
        "{column}::pg_catalog.text NOT IN ('NaN', 'Infinity', '-Infinity')",
    ),
    "time": _Kind(
        "{column}",
        (
            "coalesce((SELECT pg_catalog.min(value) FROM taken), timestamp '2000-01-01') + g.n * interval '1 day'",
            "coalesce((SELECT pg_catalog.max(value) FROM taken), timestamp '2000-01-01') - g.n * interval '1 day'",
        ),
        "pg_catalog.isfinite({column})",
    ),
    "time of day": _Kind("{column}", ("time '00:00' + g.n * interval '1 second'",)),
    "interval": _Kind("{column}", ("g.n * interval '1 second'",)),
    "text": _Kind('{column}::pg_catalog.text COLLATE pg_catalog."C"', ("g.n::pg_catalog.text",)),
    "uuid": _Kind("{column}", ("pg_catalog.lpad(pg_catalog.to_hex(g.n), 32, '0')::pg_catalog.uuid",)),
    "bytes": _Kind("{column}", ("pg_catalog.decode(pg_catalog.lpad(pg_catalog.to_hex(g.n), 16, '0'), 'hex')",)),
    "address": _Kind("{column}::pg_catalog.inet", ("'0.0.0.0'::pg_catalog.inet + g.n",)),
    "boolean": _Kind("{column}", ("(ARRAY[false, true])[(g.n + 1)::pg_catalog.int4]",)),
    "enum": _Kind(
        "{column}", ("((SELECT pg_catalog.enum_range({column}) FROM {rows} LIMIT 1))[(g.n + 1)::pg_catalog.int4]",)
    ),
}

_EMPTY = {"range": "'empty'", "multirange": "'{}'"}
