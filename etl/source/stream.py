"""The stream of rows: the source's COPY TO feeds the target's COPY FROM, and nothing is decoded between them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import asyncpg
import psycopg
from psycopg import sql

from etl.model import limits
from etl.model.table import PageRange, Table
from etl.sessions import encoding
from etl.sessions.postgres import Source, Target
from etl.sessions.query import text
from etl.sessions.stage import Stage

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""mallopt's names, from glibc's malloc.h."""


def keep_buffers() -> None:
    """Makes the C library keep the memory of a stream's pieces, instead of returning it to the system each time.

    By default, glibc returns free blocks from 128 kB on, the size of a piece. That costs 20,000 page faults for a
    million rows, a tenth of the stream's CPU (benchmarks/NOTES.md). Does nothing without mallopt(3): musl, macOS.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, limits.KEPT_FREE_BYTES)
        mallopt(_TRIM_THRESHOLD, limits.KEPT_FREE_BYTES)


@dataclass(frozen=True, slots=True)
class Streamed:
    """The result of a stream: rows that the source sent, rows that the target wrote, bytes between them."""

    rows_out: int
    rows_in: int
    bytes: int


async def copy(
    source: Source,
    target: Target,
    table: Table,
    into: sql.Identifier,
    advance: Callable[[int], None],
    *,
    within: PageRange | None = None,
    select: sql.Composable | None = None,
) -> Streamed:
    """Copies a table's rows, or those that ``select`` gives, into a table that the caller's transaction has created.

    The rows arrive frozen. Those of a page range (``within``) do not, because other sessions write to the table, too.
    ``source`` is in its snapshot; ``advance`` is called with the number of bytes of each piece.
    """
    kept = encoding.kept(source, target)
    form: Literal["binary", "text"] = "binary" if table.is_binary and kept is None else "text"
    options: list[sql.Composable] = [sql.SQL(form), *([sql.SQL("FREEZE")] if within is None else [])]
    options += [sql.SQL("ENCODING {}").format(sql.Literal(kept))] if kept else []
    copy_in = sql.SQL(Stage.COPY_IN + " COPY {} FROM STDIN (FORMAT {})").format(into, sql.SQL(", ").join(options))
    size = 0
    try:
        async with target.cursor() as cursor:
            async with cursor.copy(copy_in) as copying:

                async def write(piece: bytes) -> None:
                    nonlocal size
                    size += len(piece)
                    await copying.write(memoryview(piece))  # psycopg slices it, and a slice of bytes is a copy
                    advance(len(piece))

                query = f"{Stage.COPY_OUT} {text(select or table.copied(within))}"
                status = await source.copy_from_query(query, output=write, format=form, encoding=kept)
            rows_in = cursor.rowcount
    except (psycopg.Error, asyncpg.PostgresError) as error:
        if refusal := encoding.refusal(source, target, table, error):
            raise refusal from error
        raise
    return Streamed(rows_out=int(status.removeprefix("COPY ")), rows_in=rows_in, bytes=size)
