"""A table's checksum: over the exact bytes of every field, independent of the order of rows, computed by the servers.

A row's bytes are its record_send(): the binary form of every field, with its length (-1 for NULL). So NULL is not '',
1.0 is not 1.00, -0 is not 0, and no setting of text output matters. record_send() includes the oid of a field's type,
which differs between servers for a type that is not built in; so such a field is cast to text, and a field of a domain
to the domain's base type. hash_array_extended() hashes the bytes to 64 bits: in PostgreSQL 13 to 18 it is the only SQL
function that leads to the hash of a bytea. The checksum is the sum of the hashes: the order of rows does not change it,
a row that is there twice does.

If rows are copied without an encoding conversion (``encoding.py``), the row's text is hashed instead, because
record_send() would convert it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from etl.model.catalog import Column
from etl.model.table import PageRange, Table
from etl.sessions.postgres import Source, Target
from etl.sessions.query import text
from etl.sessions.stage import Stage
from etl.sessions.transaction import answers

_OF_BYTES = "pg_catalog.hash_array_extended(ARRAY[pg_catalog.record_send(ROW({}))], 0)"
_OF_TEXT = 'pg_catalog.hashtextextended(ROW({})::pg_catalog.text COLLATE pg_catalog."C", 0)'


@dataclass(frozen=True, slots=True)
class Checksum:
    """The number of a table's rows, and the sum of their 64-bit hashes, modulo 2^128 because hashes are signed."""

    rows: int
    sum: int

    def __add__(self, other: Checksum) -> Checksum:
        """The checksum of the rows of both."""
        return Checksum(self.rows + other.rows, (self.sum + other.sum) % 2**128)


async def of_source(source: Source, table: Table, kept: str | None, within: PageRange | None = None) -> Checksum:
    """Computes the checksum of a table, or of one page range, in the source, as the caller's snapshot shows it.

    ``kept`` is the encoding in which rows are copied without a conversion, or None; it must be the same on both sides.
    """
    return await of_select(source, table, kept, lambda expressions: table.select(expressions, within))


async def of_select(
    source: Source, table: Table, kept: str | None, select: Callable[[sql.Composable], sql.Composable]
) -> Checksum:
    """Computes the checksum of those rows of a table that a SELECT of some expressions reads."""
    expressions = _expressions(((column.value, column) for column in table.columns), kept)
    (row,) = await source.fetch_at_once(text(select(expressions)))
    return Checksum(row["rows"], int(row["sum"]) % 2**128)


async def of_target(
    target: Target, table: Table, name: sql.Composable, kept: str | None, before: Sequence[sql.Composable] = ()
) -> Checksum:
    """Computes the checksum of a staging or live table, or of a subquery, with the columns of ``table``.

    It takes one round trip, of which ``before`` are the first statements.
    """
    expressions = _expressions(((sql.Identifier(column.name), column) for column in table.columns), kept)
    ((row,),) = await answers(target, [*before, sql.SQL("SELECT {} FROM {}").format(expressions, name)])
    return Checksum(row["rows"], int(row["sum"]) % 2**128)


async def of_rows(target: Target, rows: sql.Composable, columns: Sequence[str]) -> Checksum:
    """Computes the checksum of some columns of rows in the target; without columns, it only counts the rows.

    It hashes the text of each row: every type has one, it distinguishes 1.0 from 1.00, and both sides are in one
    encoding.
    """
    row = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    summed = sql.SQL(f"pg_catalog.sum({_OF_TEXT})").format(row)
    query = sql.SQL("SELECT pg_catalog.count(*) AS rows, coalesce({}, 0)::pg_catalog.text AS sum FROM {}")
    cursor = await target.execute(query.format(summed if columns else sql.SQL("0"), rows))
    found = await cursor.fetchone()
    assert found is not None
    return Checksum(found["rows"], int(found["sum"]) % 2**128)


def hashed(fields: Iterable[tuple[sql.Composable, Column]], kept: str | None) -> sql.Composed:
    """The expression of the 64-bit hash of some fields of a row, which is the same on both sides."""
    row = sql.SQL(", ").join(value if kept else _comparable(value, column) for value, column in fields)
    return sql.SQL(_OF_TEXT if kept else _OF_BYTES).format(row)


def _expressions(fields: Iterable[tuple[sql.Composable, Column]], kept: str | None) -> sql.Composed:
    return sql.SQL(Stage.CHECKSUM + " count(*) AS rows, coalesce(sum({}), 0)::text AS sum").format(hashed(fields, kept))


def _comparable(value: sql.Composable, column: Column) -> sql.Composable:
    return value if column.hashed_as is None else sql.SQL("({})::{}").format(value, sql.SQL(column.hashed_as))
