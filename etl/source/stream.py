"""The rows' way from source to target: COPY out feeds COPY in, and nothing is decoded on the way."""

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
    """Has the C library keep the memory of a stream's pieces, instead of returning it and asking anew for each.

    By itself, glibc gives back free memory from 128 kB on, which is a piece: 20,000 page faults a million rows, and a
    tenth of the stream's CPU (benchmarks/NOTES.md). What has no mallopt(3), as musl and macOS, is left as it is.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, limits.KEPT_FREE_BYTES)
        mallopt(_TRIM_THRESHOLD, limits.KEPT_FREE_BYTES)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What went through: rows that the source gave, rows that the target took, bytes on the wire."""

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
) -> Streamed:
    """Copies a table's rows into a table that the caller's transaction has made, so that they are written frozen.

    With a page range, its rows alone, into a table that others write to as well, which is why these are not frozen.
    Takes the source's session, inside its snapshot, and ``advance``, called with the bytes of each piece.
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

                select = f"{Stage.COPY_OUT} {text(table.copied(within))}"
                status = await source.copy_from_query(select, output=write, format=form, encoding=kept)
            rows_in = cursor.rowcount
    except (psycopg.Error, asyncpg.PostgresError) as error:
        if refusal := encoding.refusal(source, target, table, error):
            raise refusal from error
        raise
    return Streamed(rows_out=int(status.removeprefix("COPY ")), rows_in=rows_in, bytes=size)
