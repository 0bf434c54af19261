"""A table's checksum: order-free, over the exact bytes of every field, computed in the servers.

Each row's bytes are its record_send(): the binary form of every field, with its length (-1 for NULL), so NULL
is not '', 1.0 is not 1.00, -0 is not 0, and no text setting matters. Fields of types that are not built in go
in as text, because record_send() gives the type's oid too, which is each server's own; those of domains go in as
what the domain rests on. The bytes are hashed to 64 bits with hash_array_extended(), the one SQL function of 13 to
18 that leads to the hash of a bytea. The hashes are summed, which no order changes and a doubled row does.

Where rows pass without a conversion (``encoding.py``), a row's text is hashed instead, in the database's own bytes:
record_send() would convert them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from etl.model.catalog import Column
from etl.model.table import PageRange, Table
from etl.sessions.postgres import Source, Target
from etl.sessions.query import text
from etl.sessions.stage import Stage

_OF_BYTES = "pg_catalog.hash_array_extended(ARRAY[pg_catalog.record_send(ROW({}))], 0)"
_OF_TEXT = 'pg_catalog.hashtextextended(ROW({})::pg_catalog.text COLLATE pg_catalog."C", 0)'


@dataclass(frozen=True, slots=True)
class Checksum:
    """A table's rows, and the sum of their 64-bit hashes, modulo 2^128 because the hashes are signed."""

    rows: int
    sum: int

    def __add__(self, other: Checksum) -> Checksum:
        """Gives the checksum of two tables' rows together."""
        return Checksum(self.rows + other.rows, (self.sum + other.sum) % 2**128)


async def of_source(source: Source, table: Table, kept: str | None, within: PageRange | None = None) -> Checksum:
    """Computes the checksum of a table, or of one page range, in the source, in the caller's snapshot.

    Takes the encoding in which rows pass without a conversion, or None, on either side the same.
    """
    expressions = _expressions(((column.value, column) for column in table.columns), kept)
    row = await source.fetchrow(text(table.select(expressions, within)))
    assert row is not None
    return Checksum(row["rows"], int(row["sum"]) % 2**128)


async def of_target(target: Target, table: Table, name: sql.Identifier, kept: str | None) -> Checksum:
    """Computes the checksum of a table of the target, staging or live, as if it were ``table``."""
    expressions = _expressions(((sql.Identifier(column.name), column) for column in table.columns), kept)
    cursor = await target.execute(sql.SQL("SELECT {} FROM {}").format(expressions, name))
    row = await cursor.fetchone()
    assert row is not None
    return Checksum(row["rows"], int(row["sum"]) % 2**128)


async def of_rows(target: Target, rows: sql.Composable, columns: Sequence[str]) -> Checksum:
    """Computes the checksum of the columns given, of rows that are compared within the target; of none, it counts.

    The rows go in as their text, which every type has, which tells 1.0 from 1.00 as well, and no encoding changes.
    """
    row = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    summed = sql.SQL(f"pg_catalog.sum({_OF_TEXT})").format(row)
    query = sql.SQL("SELECT pg_catalog.count(*) AS rows, coalesce({}, 0)::pg_catalog.text AS sum FROM {}")
    cursor = await target.execute(query.format(summed if columns else sql.SQL("0"), rows))
    found = await cursor.fetchone()
    assert found is not None
    return Checksum(found["rows"], int(found["sum"]) % 2**128)


def _expressions(fields: Iterable[tuple[sql.Composable, Column]], kept: str | None) -> sql.Composed:
    row = sql.SQL(", ").join(value if kept else _comparable(value, column) for value, column in fields)
    hashed = sql.SQL(_OF_TEXT if kept else _OF_BYTES).format(row)
    return sql.SQL(Stage.CHECKSUM + " count(*) AS rows, coalesce(sum({}), 0)::text AS sum").format(hashed)


def _comparable(value: sql.Composable, column: Column) -> sql.Composable:
    return value if column.hashed_as is None else sql.SQL("({})::{}").format(value, sql.SQL(column.hashed_as))
